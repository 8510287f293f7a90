"""Do atlases of classes speak for their class? And are traces true? On a finished atlas, of which a copy is worked on.

    python benchmarks/class_atlases.py ATLAS [--classes 100] [--traces 100] [--layer L] [--min-images N]

*Class atlases*: of classes spread evenly over all, 8 × 8. EfficientNet-Lite2, which took no part, sees the icons of the
five cells that speak most for the class, enlarged to its input: the median rank of the class, and the share of classes
for which any of the five has it in Lite2's first 10; the same for five random cells of the whole atlas, and for the
five cells of the whole atlas that speak most for it. Seconds beside the icons' are of choosing, layout and grid.

*Traces*: of late cells drawn at random, the share of their answer that is lost without the named contributors, against
as many other cells of the same photos (mean of 4 draws); a trace holds where that is at least twice as much.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import actatlas
from actatlas.atlas import Grid
from actatlas.classes.making import ClassSettings
from actatlas.classes.tracing import trace_cell
from actatlas.errors import TooFewImages
from actatlas.networks import Network, load_network
from actatlas.progress import Silent

CELLS, FIRST = 5, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("atlas", help="a finished atlas")
    parser.add_argument("--layer", default=None, help="default: the latest")
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--traces", type=int, default=100)
    parser.add_argument(
        "--min-images", type=int, default=ClassSettings().min_images, help="photos of a class atlas's cell, at least"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "atlas"
        shutil.copytree(options.atlas, copy)
        atlas = actatlas.open(copy)
        layer = options.layer or atlas.layer_names[-1]
        if options.classes:
            speak_for_their_class(atlas, layer, options.classes, options.min_images)
        if options.traces:
            are_true(atlas, layer, options.traces)


class IconClock(Silent):
    """Seconds that icons take, from the first round to the end."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def stage(self, title: str, total: int, unit: str = "", work: float | None = None):
        started = time.monotonic()
        with super().stage(title, total, unit, work) as tick:
            yield tick
        if title == "Painting icons":
            self.seconds += time.monotonic() - started


def speak_for_their_class(atlas, layer: str, count: int, min_images: int) -> None:
    judge = load_network("packaged:efficientnet-lite2")
    whole, names = atlas.layer(layer).grid(atlas.layer(layer).grid_sides[0]), atlas.class_names.labels
    classes = np.linspace(0, len(names) - 1, count).astype(int).tolist()
    random = np.random.default_rng(0)
    ranks: dict[str, list[np.ndarray]] = {"class atlas": [], "whole atlas, strongest": [], "whole atlas, random": []}
    beside, painting, coverage, failing = [], [], [], []
    for index in classes:
        clock, started = IconClock(), time.monotonic()
        try:
            made = atlas.class_atlas(index, layer=layer, min_images=min_images, progress=clock)
        except TooFewImages as error:
            print(error)
            found = np.full(CELLS, len(names))
        else:
            painting.append(clock.seconds)
            beside.append(time.monotonic() - started - clock.seconds)
            coverage.append(made.coverage)
            found = ranks_of(judge, index, *strongest(made.grid(made.side), index))
        ranks["class atlas"].append(found)
        ranks["whole atlas, strongest"].append(ranks_of(judge, index, *strongest(whole, index)))
        ranks["whole atlas, random"].append(ranks_of(judge, index, whole, random.permutation(len(whole))[:CELLS]))
        if not (found < FIRST).any():
            failing.append(f"{names[index]} ({int(found.min())})")
    print(f"{layer}, {atlas.layer(layer).activation_count:,} activations, {len(classes)} classes\n")
    print("| icons of | any of five in the first 10 | median rank |")
    print("|---|---|---|")
    for name, found in ranks.items():
        share = np.mean([(of_class < FIRST).any() for of_class in found])
        print(f"| {name} | {share:.2f} | {np.median(np.concatenate(found)):.0f} |")
    print(f"\nseconds a class, icons {np.median(painting):.1f}, beside them {np.median(beside):.1f}")
    print(f"coverage {np.median(coverage):.0%} (median)")
    print(f"fail (best rank): {', '.join(failing)}")


def strongest(grid: Grid, index: int) -> tuple[Grid, np.ndarray]:
    return grid, np.argsort(-grid.attributions[:, index], kind="stable")[:CELLS]


def ranks_of(judge: Network, index: int, grid: Grid, cells: np.ndarray) -> np.ndarray:
    """(len(cells),) how many classes the judge finds likelier in each icon."""
    side = judge.preprocessing.input_px
    icons = [Image.fromarray(grid.icons[k]).resize(side[::-1], Image.Resampling.BICUBIC) for k in cells]
    pixels = torch.stack([torch.from_numpy(np.array(icon, np.float32) / 255).permute(2, 0, 1) for icon in icons])
    with torch.no_grad():
        logits = judge.module(judge.normalize(pixels))
    return (logits > logits[:, index : index + 1]).sum(dim=1).numpy()


def are_true(atlas, layer: str, count: int) -> None:
    names = atlas.layer_names
    earlier = [atlas.layer(n).grid(atlas.layer(n).grid_sides[0]) for n in names[: names.index(layer)]]
    late = atlas.layer(layer).grid(atlas.layer(layer).grid_sides[0])
    cells = np.random.default_rng(0).permutation(len(late))[:count]
    lost: dict[str, list[tuple[float, float]]] = {grid.layer.name: [] for grid in earlier}
    started = time.monotonic()
    for number, k in enumerate(cells):
        for origins in trace_cell(atlas.network, late, int(k), earlier, seed=number).origins:
            lost[origins.grid.layer.name].append((origins.lost_named, origins.lost_random))
    seconds = (time.monotonic() - started) / len(cells)
    print(f"\n{layer}, {len(cells)} late cells, {seconds:.1f} s a trace\n")
    print("| earlier layer | lost without the contributors | without as many others | at least twice as much |")
    print("|---|---|---|---|")
    for name, pairs in lost.items():
        named, others = np.array(pairs).T
        holds = np.mean((named > 0) & (named >= 2 * np.maximum(others, 0)))
        print(f"| {name} | {np.median(named):.1%} | {np.median(others):.1%} | {holds:.0%} |", flush=True)


if __name__ == "__main__":
    main()
