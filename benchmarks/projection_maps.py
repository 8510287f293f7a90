"""What `actatlas project` tells of a second set that lacks a group, over many maps: one map is one draw.

    python benchmarks/projection_maps.py --out DIR [--maps 24] [--positions 16]

Each map is of another half of the photos, drawn at random and laid out with another seed; the other half is the second
set, from which one group is taken away, as in `projection.py`, whose atlas of all photos it takes from DIR. Over all
maps, for each layer and group:

pure: cells of whose activations a share or more are the group's; on how many of the maps there are any, and how many of
the group's activations they hold
found: of these the share in cells that are told to be unreached; below: maps on which that is less than 90%; chance: in
as many cells at random
told: cells told to be unreached on a map, and the group's share of their activations
alike: maps on which some cell is told though nothing was taken away, and of as many where the photos were dealt to the
two sets at random
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import actatlas
from actatlas.grid import cells_at, squares, squares_with_photos
from actatlas.layout import LayoutSettings, lay_out
from actatlas.progress import Silent
from actatlas.projection.nearest import Pool, unit_rows
from actatlas.projection.reaching import Neighbours, ask, asked_of, reach_of
from actatlas.projection.settings import ProjectionSettings
from projection import GROUPS, LAYERS, PURE, is_of, write_list

SIDE, LEAST_PHOTOS = 20, 3
DEALT = 4  # times on each map


@dataclass(frozen=True)
class Map:
    """A layer's vectors (N, C + 1) of photos (N,), of which `is_own` (photos,) are on the map, at points (own, 2)."""

    unit: np.ndarray
    photos: np.ndarray
    is_own: np.ndarray
    points: np.ndarray

    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        square = squares(self.points, SIDE)
        kept, _ = squares_with_photos(square, self.photos[self.is_own[self.photos]], LEAST_PHOTOS)
        return kept, cells_at(kept, square)

    def neighbours(self, is_new: np.ndarray, settings: ProjectionSettings) -> Neighbours:
        own, new = self._pool(self.is_own), self._pool(is_new)
        return ask(own, new, asked_of(own, settings), settings, lambda count: None)

    def _pool(self, is_in: np.ndarray) -> Pool:
        rows = np.flatnonzero(is_in[self.photos])
        return Pool(self.unit[rows], self.photos[rows], rows)


@dataclass(frozen=True)
class Found:
    """Of one map: of each cell its activations, those of the group among them, and whether it is told."""

    counts: np.ndarray
    of_group: np.ndarray
    is_told: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="where the atlas lies; built where it is not")
    parser.add_argument("--maps", type=int, default=24)
    parser.add_argument("--positions", type=int, default=16)
    options = parser.parse_args()
    photos = sorted(Path(os.environ["ACTATLAS_PHOTOS"]).glob("*.jpg"))
    options.out.mkdir(parents=True, exist_ok=True)
    listed = write_list(options.out / "all.csv", photos)
    out = options.out / "all"
    atlas = actatlas.build(listed, out=out, layers=LAYERS, positions=options.positions, draft=True)
    paths = [Path(path) for path in atlas.images["path"]]
    is_group = {group: np.array([is_of(path, group) for path in paths]) for group in GROUPS}
    found: dict[tuple[str, str], list[Found]] = {}
    false: dict[str, list[bool]] = {layer: [] for layer in LAYERS}
    dealt: dict[str, list[bool]] = {layer: [] for layer in LAYERS}
    for number, (layer, drawn) in enumerate(maps(atlas, options.maps)):
        for group, is_taken in is_group.items():
            found.setdefault((layer, group), []).append(without(drawn, is_taken))
        as_it_is, as_dealt = told_of_alike(drawn, number)
        false[layer].append(as_it_is)
        dealt[layer].extend(as_dealt)
        print(f"map {number // len(LAYERS) + 1}, {layer}", flush=True)
    print("| lacks | layer | pure cells: maps, activations | found | below | chance | told: the group's |")
    print("|---|---|---|---|---|---|---|")
    for (layer, group), of_maps in found.items():
        for least in PURE:
            print(f"| {group} | {layer} | {row(of_maps, least)} |")
    for layer in LAYERS:
        print(
            f"alike, {layer}: {sum(false[layer])} of {len(false[layer])} maps, "
            f"dealt at random {sum(dealt[layer])} of {len(dealt[layer])}"
        )


def maps(atlas: actatlas.Atlas, count: int):
    """(layer, Map) of each layer, of `count` halves of the photos."""
    vectors = {layer: np.concatenate([part.vectors for part in atlas.layer(layer).read_shards()]) for layer in LAYERS}
    unit = {layer: unit_rows(rows) for layer, rows in vectors.items()}
    photos = atlas.layer(LAYERS[0]).places.image_ids
    for number in range(count):
        # Not by the number alone: such halves were those that photo_neighbors was settled with.
        is_own = np.random.default_rng((number, 2)).permutation(int(photos.max()) + 1) % 2 == 0
        rows = is_own[photos]
        laid = lay_out(
            {layer: vectors[layer][rows] for layer in LAYERS}, photos[rows], LayoutSettings(seed=number), Silent()
        )
        for layer in LAYERS:
            yield layer, Map(unit[layer], photos, is_own, laid[layer].points)


def without(drawn: Map, is_taken: np.ndarray) -> Found:
    settings = ProjectionSettings()
    near = drawn.neighbours(~drawn.is_own & ~is_taken, settings)
    kept, cell = drawn.cells()
    is_group = is_taken[drawn.photos[drawn.is_own[drawn.photos]]]
    return Found(
        counts=np.bincount(cell[cell >= 0], minlength=len(kept)),
        of_group=np.bincount(cell[(cell >= 0) & is_group], minlength=len(kept)),
        is_told=reach_of(near, cell[near.asked], kept, SIDE, settings).states == "unreached",
    )


def told_of_alike(drawn: Map, number: int) -> tuple[bool, list[bool]]:
    """Whether some cell is told though nothing was taken away, and with the photos dealt to the sets at random."""
    settings, random = ProjectionSettings(seed=number), np.random.default_rng((number, 1))
    near = drawn.neighbours(~drawn.is_own, settings)
    kept, cell = drawn.cells()
    told = [
        bool((reach_of(shuffled, cell[near.asked], kept, SIDE, settings).states != "alike").any())
        for shuffled in [near] + [replace(near, is_new=random.permutation(near.is_new)) for _ in range(DEALT)]
    ]
    return told[0], told[1:]


def row(of_maps: list[Found], least: float) -> str:
    pure = [one.of_group >= least * one.counts for one in of_maps]
    held = np.array([one.of_group[p].sum() for one, p in zip(of_maps, pure, strict=True)])
    told = np.array([one.of_group[p & one.is_told].sum() for one, p in zip(of_maps, pure, strict=True)])
    by_chance = [one.of_group[p].sum() * one.is_told.mean() for one, p in zip(of_maps, pure, strict=True)]  # on average
    cells = np.array([one.is_told.sum() for one in of_maps])
    of_told = sum(one.of_group[one.is_told].sum() for one in of_maps) / max(
        sum(one.counts[one.is_told].sum() for one in of_maps), 1
    )
    is_there = held > 0
    if not is_there.any():
        return f"≥ {least:.0%}: none | – | – | – | {cells.mean():.1f}: {of_told:.0%}"
    below = int((told[is_there] < 0.9 * held[is_there]).sum())
    return (
        f"≥ {least:.0%}: {is_there.sum()}, {held.sum()} | {told.sum() / held.sum():.0%} | {below} | "
        f"{sum(by_chance) / held.sum():.0%} | {cells.mean():.1f}: {of_told:.0%}"
    )


if __name__ == "__main__":
    main()
