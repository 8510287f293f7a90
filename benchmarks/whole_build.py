"""From vectors to a picture of the atlas: ours against dreamlens 0.1.1, in the same run, from the same vectors.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/whole_build.py [--out FOLDER] [--grid 20] [--positions 8]

Both get the same float16 activations of one layer, the same network with the same preprocessing, icons of 80 px and a
grid of 20 × 20. Ours: layout, grid, learning what photos look like (for which it reads photos once more), icons, their
fidelity, and the picture. Theirs: `dreamlens.activation_atlas` with
`n_steps=128, num_attempts=1`, once as it is and once with its whitening, S = `_inverse_covariance(activations)`, whose
computation counts. Each has its own layout and cells, so icons are measured against the means of the cells that they
were painted for, among all of that atlas: theirs are recorded where dreamlens bins its layout, and their icons cut from
the canvas that it returns. `measure_icons` and the layer's mean are the same for both. Collecting is not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import dreamlens
import dreamlens.atlas
import numpy as np
import torch
from PIL import Image

from actatlas.collect import Collector, CollectSettings, run_pilot
from actatlas.grid import GridSettings, make_cells
from actatlas.images import open_source
from actatlas.inversion import InversionSettings, invert, measure
from actatlas.layout import LayoutSettings, lay_out
from actatlas.networks import Network, load_network
from actatlas.progress import StderrProgress
from actatlas.values import ActivationSet, ColourStatistics, ImageSource
from icon_scores import Bench, Crops

ICON_PX = 80
SHEET_ICONS = 48


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default=os.environ.get("ACTATLAS_PHOTOS"), help="folder ($ACTATLAS_PHOTOS)")
    parser.add_argument("--network", default="packaged:efficientnet-lite0")
    parser.add_argument("--layer", default="blocks.11.expanded")
    parser.add_argument("--count", type=int, help="photos; default all")
    parser.add_argument("--positions", type=int, default=8, help="activations a photo")
    parser.add_argument("--grid", type=int, default=20)
    parser.add_argument("--peer-steps", type=int, default=128)
    parser.add_argument("--out", help="folder for the pictures and the figures")
    options = parser.parse_args()
    if not options.photos:
        sys.exit("no photos: set ACTATLAS_PHOTOS or give --photos FOLDER")
    network = load_network(options.network)
    listed = open_source(options.photos).records[: options.count]
    source = open_source([record.path for record in listed])
    activations, colour = collect(network, source, options)
    crops = Crops(network, source, collect_settings(options), activations)
    mean = activations.vectors.astype(np.float64).mean(axis=0).astype(np.float32)
    rows, pictures, sheets = [], {}, []
    for name, build in {
        "actatlas": lambda: build_ours(network, options, activations, crops, colour, mean),
        "dreamlens": lambda: build_theirs(network, options, activations, is_whitened=False),
        "dreamlens, whitened": lambda: build_theirs(network, options, activations, is_whitened=True),
    }.items():
        seconds, pixels, means, picture = build()
        rows.append({"build": name, **figures_of(network, options.layer, pixels, means, mean), **seconds})
        print(rows[-1], file=sys.stderr)
        pictures[name] = picture
        sheets.append(np.concatenate(list(pixels[np.linspace(0, len(pixels) - 1, SHEET_ICONS).astype(int)]), axis=1))
    figures = {
        "network": network.spec, "layer": options.layer, "activations": len(activations), "grid": options.grid,
        "cores": os.cpu_count(), "torch": torch.__version__, "torch_threads": torch.get_num_threads(), "rows": rows,
        "times_faster": [round(row["total_s"] / rows[0]["total_s"], 1) for row in rows],
    }  # fmt: skip
    print(as_markdown(figures))
    print(json.dumps(figures))
    if options.out:
        write(Path(options.out), figures, pictures, sheets)


def collect_settings(options: argparse.Namespace) -> CollectSettings:
    return CollectSettings(positions=options.positions, attribution=None, precision="float32", predictions=False)


def collect(
    network: Network, source: ImageSource, options: argparse.Namespace
) -> tuple[ActivationSet, ColourStatistics]:
    settings = collect_settings(options)
    pilot = run_pilot(network, source, [options.layer], settings, StderrProgress())
    shards = [
        s.activations[options.layer] for _, s in Collector(network, source, [options.layer], settings, pilot).shards()
    ]
    fields = ("vectors", "image_ids", "positions", "boxes")
    return ActivationSet(**{f: np.concatenate([getattr(s, f) for s in shards]) for f in fields}), pilot.colour


Built = tuple[dict[str, float], np.ndarray, np.ndarray, np.ndarray]  # seconds, icons, their cells' means, the picture


def build_ours(
    network: Network,
    options: argparse.Namespace,
    activations: ActivationSet,
    crops: Crops,
    colour: ColourStatistics,
    mean: np.ndarray,
) -> Built:
    started, seconds, layer = time.monotonic(), {}, options.layer

    def lap(stage: str) -> None:
        seconds[f"{stage}_s"] = round(time.monotonic() - started - sum(seconds.values()), 2)

    layouts = lay_out({layer: activations.vectors}, activations.image_ids, LayoutSettings(), StderrProgress())
    lap("layout")
    cells = make_cells(layouts[layer], lambda: iter([activations]), mean, GridSettings(options.grid))
    lap("grid")
    keys = np.arange(len(cells))
    settings = replace(InversionSettings(), size_px=ICON_PX)
    rows = np.random.default_rng(0).permutation(len(activations))
    expectation = Bench(network, layer, activations, cells, crops, ICON_PX).learn(rows, mean, colour, settings)
    lap("learning")
    pixels = invert(network, layer, cells.means, mean, colour, settings, keys, expectation)
    lap("icons")
    measure(network, layer, pixels, cells.means, keys, mean)
    lap("fidelity")
    picture = np.full((options.grid * ICON_PX, options.grid * ICON_PX, 3), 255, np.uint8)
    for icon, (column, row) in zip(pixels, cells.coordinates * ICON_PX, strict=True):
        picture[row : row + ICON_PX, column : column + ICON_PX] = icon
    lap("picture")
    total = time.monotonic() - started
    return (
        {
            "total_s": round(total, 1),
            **seconds,
            "icon_s": round((seconds["learning_s"] + seconds["icons_s"]) / len(cells), 3),
        },
        pixels,
        cells.means,
        picture,
    )


def build_theirs(network: Network, options: argparse.Namespace, activations: ActivationSet, is_whitened: bool) -> Built:
    found: dict[str, np.ndarray] = {}
    bin_cells = dreamlens.atlas.bin_laid_out_activations

    def recorded(*arguments, **named):
        means, coordinates, counts = bin_cells(*arguments, **named)
        found.update(means=np.stack(means), coordinates=np.stack(coordinates))
        return means, coordinates, counts

    np.random.seed(0)
    torch.manual_seed(0)
    vectors = activations.vectors.astype(np.float32)
    dreamlens.atlas.bin_laid_out_activations = recorded
    try:
        started = time.monotonic()
        whitening = dreamlens.atlas._inverse_covariance(vectors) if is_whitened else None
        canvas = dreamlens.activation_atlas(
            network.module, options.layer, vectors, grid_size=options.grid, icon_size=ICON_PX,
            render_kwargs={
                "n_steps": options.peer_steps, "num_attempts": 1, "preprocess": network.normalize, "S": whitening,
            },
        )  # fmt: skip
        total = time.monotonic() - started
    finally:
        dreamlens.atlas.bin_laid_out_activations = bin_cells
    picture = (np.clip(canvas, 0, 1) * 255).round().astype(np.uint8)
    places = found["coordinates"] * ICON_PX  # make_canvas puts the first coordinate downwards
    pixels = np.stack([picture[down : down + ICON_PX, right : right + ICON_PX] for down, right in places])
    return {"total_s": round(total, 1)}, pixels, found["means"].astype(np.float32), picture


def figures_of(network: Network, layer: str, pixels: np.ndarray, means: np.ndarray, mean: np.ndarray) -> dict:
    icons = measure(network, layer, pixels, means, np.arange(len(pixels)), mean)
    return {
        "cells": len(pixels), "cosine": round(float(icons.cosine.mean()), 3),
        "identified": round(float((icons.rank == 0).mean()), 3),
        "shifted_cosine": round(float(icons.shifted_cosine.mean()), 3),
    }  # fmt: skip


def as_markdown(figures: dict) -> str:
    lines = [
        f"{figures['network']}, {figures['layer']}, {figures['activations']:,} activations, {figures['grid']} × "
        f"{figures['grid']}, {figures['torch_threads']} threads, torch {figures['torch']}",
        "",
        "| build | cells | seconds | a cell | ours is faster by | cosine | identified | shifted cosine |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row, factor in zip(figures["rows"], figures["times_faster"], strict=True):
        lines.append(
            f"| {row['build']} | {row['cells']} | {row['total_s']} | {row['total_s'] / row['cells']:.3f} | {factor} | "
            f"{row['cosine']} | {row['identified']} | {row['shifted_cosine']} |"
        )
    return "\n".join(lines) + "\n"


def write(folder: Path, figures: dict, pictures: dict[str, np.ndarray], sheets: list[np.ndarray]) -> None:
    """Each atlas, all side by side, and a contact sheet: a row of icons a build."""
    folder.mkdir(parents=True, exist_ok=True)
    gap = np.full((next(iter(pictures.values())).shape[0], ICON_PX // 2, 3), 128, np.uint8)
    beside = np.concatenate([part for picture in pictures.values() for part in (picture, gap)][:-1], axis=1)
    Image.fromarray(beside).save(folder / "whole_build.png")
    Image.fromarray(np.concatenate(sheets, axis=0)).save(folder / "whole_build_icons.png")
    (folder / "whole_build.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
