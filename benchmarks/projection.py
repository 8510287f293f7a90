"""Does `actatlas project` tell what a second set of photos lacks?

    python benchmarks/projection.py --out DIR [--positions 16]

Two atlases: of every second class's photo ("half"), beside which the second set is the other classes' photos; and of
all ("all"), beside which it is the same photos, each of which is never its own neighbour. From the second set one group
is taken away, by its WordNet ids: dogs, birds. Then, for each layer:

pure: cells of the atlas of whose activations a share or more are the group's, and how many of the group's they hold
found: of these the share in cells that are told to be unreached; chance: in as many cells at random
told: cells told to be unreached, and the group's share of their activations; false: cells told when nothing is taken
away
zero: as found, of the cells into which no new activation falls, which says as much without any of this
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import numpy as np

import actatlas
from actatlas.atlas import STATES, Grid
from actatlas.progress import StderrProgress

GROUPS = {
    "dogs": [("n02085620", "n02113978")],
    "birds": [("n01514668", "n01622779"), ("n01795545", "n01860187"), ("n02002556", "n02058221")],
}
LAYERS = ("blocks.11.expanded", "blocks.15.expanded")
PURE = (0.8, 0.9)
DRAWS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where atlases and lists lie; built where they are not")
    parser.add_argument("--positions", type=int, default=16)
    options = parser.parse_args()
    photos = sorted(Path(os.environ["ACTATLAS_PHOTOS"]).glob("*.jpg"))
    options.out.mkdir(parents=True, exist_ok=True)
    print("| atlas | lacks | layer | pure cells: activations | found | chance | told: the group's | false | zero |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, own, other in (("half", photos[0::2], photos[1::2]), ("all", photos, photos)):
        listed = write_list(options.out / f"{name}.csv", own)
        atlas = actatlas.build(listed, out=options.out / name, layers=LAYERS, positions=options.positions, draft=True)
        whole = atlas.project(write_list(options.out / f"{name}-whole.csv", other), progress=StderrProgress())
        for group in GROUPS:
            kept = [photo for photo in other if not is_of(photo, group)]
            less = atlas.project(write_list(options.out / f"{name}-no-{group}.csv", kept), progress=StderrProgress())
            for layer in LAYERS:
                for row in rows(atlas, whole, less, layer, group):
                    print(f"| {name} | {group} | {layer} | {row} |", flush=True)


def rows(atlas, whole, less, layer: str, group: str) -> list[str]:
    grid = atlas.layer(layer).grid(atlas.layer(layer).grid_sides[0])
    paths = atlas.images["path"].to_numpy()
    of_photo = np.array([is_of(Path(path), group) for path in paths])
    is_group = of_photo[atlas.layer(layer).places.image_ids]
    counts = grid.counts
    of_group = np.array([is_group[grid.members(k)].sum() for k in range(len(grid))])
    told = is_unreached(less, grid)
    false = int(is_unreached(whole, grid).sum())
    empty = less.cells(grid)["counts"] == 0
    share = of_group[told].sum() / max(counts[told].sum(), 1)
    found = []
    for least in PURE:
        is_pure = of_group >= least * counts
        whole_count = of_group[is_pure].sum()
        if not whole_count:
            found.append(f"≥ {least:.0%}: none | – | – | {told.sum()} of {len(grid)}: {share:.0%} | {false} | –")
            continue
        random = np.random.default_rng(0)
        by_chance = [
            of_group[np.intersect1d(random.choice(len(grid), told.sum(), replace=False), np.flatnonzero(is_pure))].sum()
            for _ in range(DRAWS)
        ]
        found.append(
            f"≥ {least:.0%}: {is_pure.sum()}: {whole_count} | {of_group[is_pure & told].sum() / whole_count:.0%} | "
            f"{np.mean(by_chance) / whole_count:.0%} | {told.sum()} of {len(grid)}: {share:.0%} | {false} | "
            f"{of_group[is_pure & empty].sum() / whole_count:.0%}"
        )
    return found


def is_unreached(projection, grid: Grid) -> np.ndarray:
    return projection.cells(grid)["state"] == STATES.index("unreached")


def is_of(photo: Path, group: str) -> bool:
    return any(low <= photo.name[:9] <= high for low, high in GROUPS[group])


def write_list(path: Path, photos: list[Path]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        rows.writerows([photo, photo.stem.partition("_")[2].replace("_", " ")] for photo in photos)
    return path


if __name__ == "__main__":
    main()
