"""Icons: ours and our draft against dreamlens 0.1.1 and Lucid's recipe, by seconds, by fidelity, and by eye.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/icons.py [--out FOLDER] [--layer NAME]… [--peer-cells 32] [--curves]

The packaged network, every photo with 8 crops of 8 positions, seed 0, 20 × 20 cells of each layer. Ours paints all
cells; peers paint as many, spread evenly, as are asked for, and are ranked among all. What each figure is: the
docstrings of icon_scores.py. Photos with even ids may be learnt from, those with odd ids judge.

Seconds an icon are of painting alone, plus, for ours, what was learnt from photos (reading and cutting the patches
included), spread over one build of 400 cells. dreamlens: `render_icons`, 128 steps, 1 attempt, without and with
S = `_inverse_covariance`. Lucid's recipe, the notebook's version: dot(h, S v) · max(0.1, cos(h, S v))^4 at the centre,
512 steps of Adam at 0.05, one attempt, on dreamlens' Fourier canvas, decorrelated colours and transformations.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import dreamlens
import dreamlens.atlas
import dreamlens.render
import numpy as np
import torch
from PIL import Image
from torch.nn.functional import cosine_similarity

from actatlas.collect import Collector, CollectSettings, run_pilot
from actatlas.grid import GridSettings, make_cells
from actatlas.images import open_source
from actatlas.inversion import InversionSettings, invert, measure, side_px
from actatlas.inversion.fidelity import centre, positions_last
from actatlas.layout import LayoutSettings, lay_out
from actatlas.networks import Network, load_network
from actatlas.progress import StderrProgress
from actatlas.values import ActivationSet, ColourStatistics, ImageSource
from icon_scores import Bench, Crops, Naturalness, SecondOpinion, highest_correlation, is_learning_photo, sheet

LAYERS = "blocks.3.expanded", "blocks.11.expanded", "blocks.15.expanded"
_PATCHES = "nearest real patch"  # a row of the sheets
SPREAD_OVER = 400  # cells
SHEET_ICONS = 16
COLLECT = CollectSettings(crops=8, positions=8, attribution=None, precision="float32", predictions=False)


@dataclass(frozen=True)
class Judged:
    """One layer with all that its pictures are judged by."""

    bench: Bench
    mean: np.ndarray
    colour: ColourStatistics
    second: SecondOpinion
    natural: Naturalness
    whitening: np.ndarray
    learning_rows: np.ndarray

    def figures(self, name: str, pictures: np.ndarray, cells: np.ndarray, seconds: float | None) -> dict:
        bench = self.bench
        icons = measure(bench.network, bench.layer, pictures, bench.cells.means, cells, self.mean)
        of_this_size = replace(bench, side=pictures.shape[1]).patches(self.learning_rows)
        correlation = highest_correlation(pictures, of_this_size)
        row = {
            "layer": bench.layer, "way": name, "cells": len(cells), "seconds": seconds and round(seconds, 4),
            "cosine": round(float(icons.cosine.mean()), 3), "identified": round(float((icons.rank == 0).mean()), 3),
            "shifted_cosine": round(float(icons.shifted_cosine.mean()), 3),
            "second_opinion": round(float(self.second.of(pictures, cells).mean()), 3),
            "naturalness": [round(distance, 2) for distance in self.natural.of(pictures)],
            "highest_correlation": [round(float(np.quantile(correlation, q)), 2) for q in (0.5, 1.0)],
        }  # fmt: skip
        print(row, file=sys.stderr, flush=True)
        return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default=os.environ.get("ACTATLAS_PHOTOS"), help="folder ($ACTATLAS_PHOTOS)")
    parser.add_argument("--layer", action="append", default=[], help=f"default: {', '.join(LAYERS)}")
    parser.add_argument("--peer-cells", type=int, default=32, help="cells that peers paint")
    parser.add_argument("--curves", action="store_true", help="more and fewer steps too, at the layer in the middle")
    parser.add_argument("--out", help="folder for sheets and figures")
    options = parser.parse_args()
    if not options.photos:
        sys.exit("no photos: set ACTATLAS_PHOTOS or give --photos FOLDER")
    network, other = (load_network(f"packaged:efficientnet-{name}") for name in ("lite0", "lite2"))
    layers = options.layer or list(LAYERS)
    source = open_source(options.photos)
    activations, colour = collect(network, source, layers)
    layouts = lay_out(
        {name: activations[name].vectors for name in layers}, activations[layers[0]].image_ids,
        LayoutSettings(align=False), StderrProgress(),
    )  # fmt: skip
    crops = Crops(network, source, COLLECT, activations[layers[0]])
    rows, curves = [], []
    for name in layers:
        judged = judge(network, other, name, activations[name], layouts[name], crops, colour)
        with_curves = options.curves and name == layers[len(layers) // 2]
        found, sheets, more = compare(judged, options.peer_cells, with_curves)
        rows += found
        curves += more
        if options.out:
            write_sheet(Path(options.out), name, sheets)
    figures = {
        "network": network.spec, "cores": os.cpu_count(), "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(), "rows": rows, "curves": curves,
    }  # fmt: skip
    print(as_markdown(rows))
    if curves:
        print(as_markdown(curves))
    print(json.dumps(figures))
    if options.out:
        (Path(options.out) / "icons.json").write_text(json.dumps(figures, indent=2) + "\n")


def collect(
    network: Network, source: ImageSource, layers: list[str]
) -> tuple[dict[str, ActivationSet], ColourStatistics]:
    pilot = run_pilot(network, source, layers, COLLECT, StderrProgress())
    shards = [shard for _, shard in Collector(network, source, layers, COLLECT, pilot).shards()]
    fields = ("vectors", "image_ids", "positions", "boxes")
    joined = {
        name: ActivationSet(**{f: np.concatenate([getattr(s.activations[name], f) for s in shards]) for f in fields})
        for name in layers
    }
    return joined, pilot.colour


def judge(
    network: Network, other: Network, layer: str, activations: ActivationSet, layout, crops: Crops,
    colour: ColourStatistics,
) -> Judged:  # fmt: skip
    mean = activations.vectors.astype(np.float64).mean(axis=0).astype(np.float32)
    cells = make_cells(layout, lambda: iter([activations]), mean, GridSettings(20))
    bench = Bench(network, layer, activations, cells, crops, side_px(network, layer, InversionSettings().size_px))
    drawn = np.random.default_rng(7).permutation(np.flatnonzero(is_learning_photo(activations.image_ids)))
    rows = drawn[: InversionSettings().learning_patches]
    whitening = dreamlens.atlas._inverse_covariance(activations.vectors[::8].astype(np.float32))
    judges = SecondOpinion(bench, other), Naturalness(bench, other)
    return Judged(bench, mean, colour, *judges, whitening, rows)


def compare(judged: Judged, peer_cells: int, with_curves: bool) -> tuple[list[dict], dict[str, np.ndarray], list[dict]]:
    """Rows of figures, a few icons of each way, and the rows of other numbers of steps."""
    bench = judged.bench
    count = len(bench.cells)
    everyone = np.arange(count)
    some = np.unique(np.linspace(0, count - 1, min(peer_cells, count)).astype(int))
    shown = some[:: max(1, len(some) // SHEET_ICONS)][:SHEET_ICONS]
    real = bench.patches(bench.cells.example_rows[some, 0])
    print(f"{bench.layer}: {count} cells, side {bench.side} px, floor {judged.natural.floor}", file=sys.stderr)
    floor = [round(distance, 2) for distance in judged.natural.floor]
    rows = [{
        "layer": bench.layer, "way": "real patch", "cells": len(judged.second.cells), "seconds": None, "cosine": None,
        "identified": None, "shifted_cosine": None, "second_opinion": round(judged.second.real_patch, 3),
        "naturalness": floor, "highest_correlation": None,
    }]  # fmt: skip
    sheets = {_PATCHES: real[np.isin(some, shown)]}
    ways: dict[str, tuple[Callable[[np.ndarray], tuple[np.ndarray, float]], np.ndarray]] = {
        "actatlas": (lambda cells: ours(judged, InversionSettings()), everyone),
        "actatlas, draft": (lambda cells: ours(judged, InversionSettings().as_draft()), everyone),
        "dreamlens": (lambda cells: dreamlens_icons(judged, cells, None), some),
        "dreamlens, S": (lambda cells: dreamlens_icons(judged, cells, judged.whitening), some),
        "Lucid's recipe": (lambda cells: lucid_icons(judged, cells), some[::2]),
    }
    for name, (paint, cells) in ways.items():
        pictures, seconds = paint(cells)
        rows.append(judged.figures(name, pictures, cells, seconds))
        sheets[name] = pictures[np.isin(cells, shown)]
    curves = []
    if with_curves:
        for scale in (0.5, 2.0):
            steps = tuple(max(1, round(scale * n)) for n in InversionSettings().steps)
            pictures, seconds = ours(judged, replace(InversionSettings(), steps=steps))
            curves.append(judged.figures(f"actatlas, steps {steps}", pictures, everyone, seconds))
        for steps in (32, 64):
            pictures, seconds = dreamlens_icons(judged, some, None, steps)
            curves.append(judged.figures(f"dreamlens, {steps} steps", pictures, some, seconds))
            pictures, seconds = lucid_icons(judged, some[::2], steps * 2)
            curves.append(judged.figures(f"Lucid's recipe, {steps * 2} steps", pictures, some[::2], seconds))
    return rows, sheets, curves


def ours(judged: Judged, settings: InversionSettings) -> tuple[np.ndarray, float]:
    bench = replace(judged.bench, side=side_px(judged.bench.network, judged.bench.layer, settings.size_px))
    started = time.monotonic()
    expectation = bench.learn(judged.learning_rows, judged.mean, judged.colour, settings)
    learning = time.monotonic() - started
    started = time.monotonic()
    keys = np.arange(len(bench.cells))
    pictures = invert(
        bench.network, bench.layer, bench.cells.means, judged.mean, judged.colour, settings, keys, expectation
    )
    painting = time.monotonic() - started
    print(f"learning {learning:.1f} s, painting {painting:.1f} s", file=sys.stderr)
    return pictures, painting / len(bench.cells) + learning / SPREAD_OVER


def dreamlens_icons(
    judged: Judged, cells: np.ndarray, whitening: np.ndarray | None, steps: int = 128
) -> tuple[np.ndarray, float]:
    bench = judged.bench
    np.random.seed(0)
    torch.manual_seed(0)
    started = time.monotonic()
    pictures, _ = dreamlens.render_icons(
        bench.cells.means[cells], bench.network.module, bench.layer, size=bench.side, n_steps=steps, num_attempts=1,
        preprocess=bench.network.normalize, S=whitening,
    )  # fmt: skip
    seconds = (time.monotonic() - started) / len(cells)
    return _as_uint8(np.stack(pictures)), seconds


def lucid_icons(judged: Judged, cells: np.ndarray, steps: int = 512) -> tuple[np.ndarray, float]:
    bench = judged.bench
    np.random.seed(0)
    torch.manual_seed(0)
    started = time.monotonic()
    wanted = torch.from_numpy((bench.cells.means[cells] @ judged.whitening).astype(np.float32))
    canvas = dreamlens.ImageParameterization(bench.side, batch=len(cells), channels=3, decorrelate=True, fft=True)
    moved = dreamlens.render.compose(dreamlens.render.standard_icon_transforms(bench.side, alpha=False))
    optimiser = torch.optim.Adam(canvas.parameters(), lr=0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        inputs = bench.network.normalize(moved(canvas()))
        answers = centre(positions_last(bench.network.activations(inputs, [bench.layer])[bench.layer]))
        likeness = cosine_similarity(answers, wanted, dim=1).clamp(min=0.1)
        (-((answers * wanted).sum(dim=1) * likeness**4).sum()).backward()
        optimiser.step()
    with torch.no_grad():
        pictures = canvas()[:, :3].permute(0, 2, 3, 1).numpy()
    return _as_uint8(pictures), (time.monotonic() - started) / len(cells)


def _as_uint8(pictures: np.ndarray) -> np.ndarray:
    return (np.clip(pictures, 0, 1) * 255).round().astype(np.uint8)


def write_sheet(folder: Path, layer: str, sheets: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    least = min(len(icons) for icons in sheets.values())
    rows = [icons[np.linspace(0, len(icons) - 1, least).astype(int)] for icons in sheets.values()]
    side = max(icons.shape[1] for icons in rows)
    rows = [np.stack([Image.fromarray(icon).resize((side, side)) for icon in icons]) for icons in rows]
    Image.fromarray(sheet(rows)).save(folder / f"icons_{layer}.png")
    # To be shown where photos may not be.
    painted = [icons for name, icons in zip(sheets, rows, strict=True) if name != _PATCHES]
    Image.fromarray(sheet(painted)).save(folder / f"painted_{layer}.png")
    print(f"{layer}: rows are {', '.join(sheets)}", file=sys.stderr)


def as_markdown(rows: list[dict]) -> str:
    lines = [
        "| layer | way | cells | s an icon | faster than dreamlens | cosine | identified | shifted cosine "
        "| second opinion | naturalness | highest correlation: median, most |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    peers = {row["layer"]: row["seconds"] for row in rows if row["way"] == "dreamlens"}
    for row in rows:
        faster = peers[row["layer"]] / row["seconds"] if row["seconds"] and row["layer"] in peers else None
        cells = [
            row["layer"], row["way"], row["cells"], row["seconds"], faster and f"{faster:.1f}×", row["cosine"],
            row["identified"], row["shifted_cosine"], row["second_opinion"], _joined(row["naturalness"]),
            _joined(row["highest_correlation"]),
        ]  # fmt: skip
        lines.append("| " + " | ".join("" if cell is None else str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _joined(values: list[float] | None) -> str | None:
    return ", ".join(f"{value:.2f}" for value in values) if values else None


if __name__ == "__main__":
    main()
