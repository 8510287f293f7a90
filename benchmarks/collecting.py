"""Collecting: images a second from JPEG to shard on disk, against a plain loop in the same run.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/collecting.py [--count 256] [--repeat 3] [--network SPEC]

The plain loop is what one writes by hand: a DataLoader with two workers, the whole forward pass in float32, a hook on
each layer, one random position a photo, the vectors to safetensors; run with batches of 32 and of 8, the faster counts.
Rows: A vectors only, B with the logits' top 5, C with mean replacement at every layer. The loop computes logits in any
case and no attribution, so for C it does less work. Ours and the loop take turns; a figure is the repeats' median.
The pilot (precision, baselines, patch sizes), once an atlas, is timed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file

from actatlas.collect import Collector, CollectSettings, Pilot, run_pilot
from actatlas.images import open_source
from actatlas.networks import Network, load_network
from actatlas.progress import StderrProgress
from actatlas.values import ImageSource

ROWS = {
    "A vectors only": {"attribution": None, "predictions": False},
    "B with logits": {"attribution": None, "predictions": True},
    "C with attribution": {"predictions": True},
}
LAYER_SETS = {
    "one layer": ["blocks.11.expanded"],
    "four layers": ["blocks.3.expanded", "blocks.6.expanded", "blocks.11.expanded", "blocks.14.expanded"],
}
LOOP_BATCHES = (32, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--photos", default=os.environ.get("ACTATLAS_PHOTOS"), help="folder of JPEGs ($ACTATLAS_PHOTOS)"
    )
    parser.add_argument("--network", default="packaged:efficientnet-lite0")
    parser.add_argument("--count", type=int, default=256, help="photos in one measurement")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--layers", choices=[*LAYER_SETS, "both"], default="both")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if not options.photos:
        sys.exit("no photos: set ACTATLAS_PHOTOS or give --photos FOLDER")
    sets = list(LAYER_SETS) if options.layers == "both" else [options.layers]
    source = open_source([record.path for record in open_source(options.photos).records[: options.count]])
    figures = measure(load_network(options.network), source, sets, options.repeat)
    print(as_markdown(figures))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


def measure(network: Network, source: ImageSource, sets: list[str], repeat: int) -> dict:
    figures = {
        "network": network.spec, "photos": len(source.records), "repeats": repeat, "machine": platform.processor(),
        "cores": os.cpu_count(), "torch": torch.__version__, "torch_threads": torch.get_num_threads(), "rows": [],
    }  # fmt: skip
    for title in sets:
        layers = LAYER_SETS[title]
        started = time.monotonic()
        pilot = run_pilot(network, source, layers, CollectSettings(), StderrProgress())
        pilot_s = time.monotonic() - started
        collect_ours(network, source, layers, pilot, {**ROWS["A vectors only"]})  # warm up
        rates: dict[str, list[float]] = {}
        for _ in range(repeat):
            for batch_size in LOOP_BATCHES:
                rates.setdefault(f"loop {batch_size}", []).append(collect_plainly(network, source, layers, batch_size))
            for row, wanted in ROWS.items():
                rates.setdefault(row, []).append(collect_ours(network, source, layers, pilot, wanted))
            print({name: round(found[-1], 1) for name, found in rates.items()}, file=sys.stderr)
        medians = {name: statistics.median(found) for name, found in rates.items()}
        loop = max(medians[f"loop {batch_size}"] for batch_size in LOOP_BATCHES)
        for row in ROWS:
            figures["rows"].append(
                {
                    "layers": title,
                    "row": row,
                    "images_per_s": round(medians[row], 1),
                    "loop_images_per_s": round(loop, 1),
                    "ratio": round(medians[row] / loop, 2),
                    "precision": pilot.precision,
                    "pilot_s": round(pilot_s, 1),
                    "all_images_per_s": {name: [round(rate, 1) for rate in found] for name, found in rates.items()},
                }
            )
    return figures


def collect_ours(network: Network, source: ImageSource, layers: list[str], pilot: Pilot, wanted: dict) -> float:
    """Images a second."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        collector = Collector(network, source, layers, CollectSettings(**wanted), pilot)
        for index, shard in collector.shards():
            arrays = {}
            for layer, part in shard.activations.items():
                fields = ("vectors", "image_ids", "positions", "boxes", "attributions")
                arrays |= {f"{layer}/{f}": getattr(part, f) for f in fields if getattr(part, f) is not None}
            if shard.predictions is not None:
                arrays |= {f"predictions/{name}": value for name, value in vars(shard.predictions).items()}
            save_file(arrays, f"{folder}/{index}.safetensors")
        return len(source.records) / (time.monotonic() - started)


class Photos(torch.utils.data.Dataset):
    """The plain loop's: an input for each file."""

    def __init__(self, network: Network, paths: list[str]):
        self.network, self.paths = network, paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        return self.network.pixels(Image.open(self.paths[number]).convert("RGB"))


def collect_plainly(network: Network, source: ImageSource, layers: list[str], batch_size: int) -> float:
    """Images a second of the plain loop."""
    rng = np.random.default_rng(0)
    found: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}

    def keep(layer: str):
        def hook(_module, _inputs, maps: torch.Tensor) -> None:
            rows, columns = (torch.from_numpy(rng.integers(1, size - 1, len(maps))) for size in maps.shape[2:])
            found[layer].append(maps[torch.arange(len(maps)), :, rows, columns].half().numpy())

        return hook

    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        data = Photos(network, [record.path for record in source.records])
        loader = torch.utils.data.DataLoader(data, batch_size=batch_size, num_workers=2)
        hooks = [network.module.get_submodule(layer).register_forward_hook(keep(layer)) for layer in layers]
        try:
            with torch.no_grad():
                for pixels in loader:
                    network.module(network.normalize(pixels))
        finally:
            for hook in hooks:
                hook.remove()
        save_file({layer: np.concatenate(parts) for layer, parts in found.items()}, f"{folder}/0.safetensors")
        return len(source.records) / (time.monotonic() - started)


def as_markdown(figures: dict) -> str:
    lines = [
        f"{figures['photos']} photos, {figures['network']}, {figures['cores']} cores, torch {figures['torch']} with "
        f"{figures['torch_threads']} threads, median of {figures['repeats']}.",
        "",
        "| layers | row | precision | images/s | plain loop, images/s | ratio |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['layers']} | {row['row']} | {row['precision']} | {row['images_per_s']} | {row['loop_images_per_s']} "
        f"| {row['ratio']}× |"
        for row in figures["rows"]
    ]
    pilots = {row["layers"]: row["pilot_s"] for row in figures["rows"]}
    lines += [
        "",
        "Pilot, once an atlas: " + ", ".join(f"{title} {seconds} s" for title, seconds in pilots.items()) + ".",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
