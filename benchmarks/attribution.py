"""Attribution to every class: what each method costs, and the gradient against reverse mode, in the same run.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/attribution.py [--photos FOLDER] [--count 8] [--repeat 3] [--network SPEC]

Cost: the time of `attribute` (all classes of one activation of each photo) over the time of a plain forward pass of the
part behind the layer. Peers for the gradient, for the same activations in float32: reverse mode, one backward pass a
class (the forward pass kept); and vmapped reverse mode (`is_grads_batched`), a chunk of classes at once. Both are timed
on some classes, and the time of all is the time a class times their number. Ours and the peers take turns; a figure is
the repeats' median. Agreement: max |difference| over the classes that reverse mode was run for / max |value| over all
classes, of the worst activation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from actatlas.collect import attribute
from actatlas.errors import ActatlasError
from actatlas.images import open_source
from actatlas.networks import Network, Recording, load_network
from actatlas.values import ATTRIBUTION_METHODS

LAYERS = ["blocks.4.expanded", "blocks.11.expanded", "blocks.15.expanded"]
WINDOW = 5  # positions a side that patch replacement replaces
CHUNK = 8  # classes of one vmapped backward pass
CLASS_COUNT_TIMED = 4  # backward passes of one repeat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default=os.environ.get("ACTATLAS_PHOTOS"), help="folder of photos")
    parser.add_argument("--network", default="packaged:efficientnet-lite0")
    parser.add_argument("--layer", action="append", help=f"default: {', '.join(LAYERS)}, or the recommended ones")
    parser.add_argument("--count", type=int, default=8, help="photos, one activation each")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if not options.photos:
        sys.exit("no photos: set ACTATLAS_PHOTOS or give --photos FOLDER")
    try:
        figures = measure(options)
    except ActatlasError as error:
        sys.exit(str(error))
    print(as_markdown(figures))
    print(json.dumps(figures))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


def measure(options: argparse.Namespace) -> dict:
    network = load_network(options.network)
    source = open_source(options.photos)
    if len(source.records) < options.count:
        sys.exit(f"{options.photos} holds {len(source.records)} photos, fewer than {options.count}; give more")
    pixels = torch.stack([network.pixels(source.read(image_id)) for image_id in range(options.count)])
    layers = options.layer
    if not layers:
        is_lite0 = options.network == "packaged:efficientnet-lite0"
        layers = LAYERS if is_lite0 else [layer.name for layer in network.layers if layer.recommended]
    with torch.no_grad():
        recording = network.record(network.normalize(pixels), layers, for_derivatives=True)
    rng = np.random.default_rng(0)
    positions = torch.from_numpy(rng.uniform(0.1, 0.9, (options.count, 2)))
    full_s = median_s(lambda: whole_pass(network, pixels), options.repeat)
    rows = [layer_row(recording, layer, positions, options.repeat) for layer in layers]
    return {
        "network": options.network,
        "photos": options.count,
        "classes": network.class_count,
        "device": str(network.device),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "repeats": options.repeat,
        "whole_pass_s": round(full_s, 4),
        "rows": rows,
    }


def layer_row(recording: Recording, layer: str, positions: Tensor, repeats: int) -> dict:
    maps = recording.maps[layer]
    baseline = maps.mean(dim=(0, 2, 3))
    reverse = Reverse(recording, layer, positions)
    candidates: dict[str, Callable[[], object]] = {
        "partial": without_gradients(lambda: recording.replay(layer, maps)),
        **{
            method: without_gradients(
                lambda method=method: attribute(recording, layer, positions, method, baseline, WINDOW)
            )
            for method in ATTRIBUTION_METHODS
        },
        "reverse": lambda: reverse.one_by_one(CLASS_COUNT_TIMED),
        "vmapped": lambda: reverse.vmapped(CHUNK),
    }
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for candidate in candidates.values():
        candidate()
    for _ in range(repeats):
        for name, candidate in candidates.items():
            times[name].append(timed_s(candidate))
    seconds = {name: statistics.median(values) for name, values in times.items()}
    class_count = reverse.logits.shape[1]
    with torch.no_grad():
        ours = attribute(recording, layer, positions, "gradient", baseline)
    checked = reverse.classes(5 * CHUNK)
    difference = (ours[:, checked] - reverse.of(checked)).abs().amax(dim=1) / ours.abs().amax(dim=1)
    reverse_s = seconds["reverse"] / CLASS_COUNT_TIMED * class_count
    vmapped_s = seconds["vmapped"] / CHUNK * class_count
    return {
        "layer": layer,
        "partial_pass_s": round(seconds["partial"], 4),
        "cost_in_partial_passes": {m: round(seconds[m] / seconds["partial"], 2) for m in ATTRIBUTION_METHODS},
        "gradient_s": round(seconds["gradient"], 4),
        "reverse_s": round(reverse_s, 2),
        "vmapped_reverse_s": round(vmapped_s, 2),
        "times_faster_than_reverse": round(reverse_s / seconds["gradient"], 1),
        "times_faster_than_vmapped": round(vmapped_s / seconds["gradient"], 1),
        "classes_checked": len(checked),
        "worst_relative_difference": float(difference.max()),
    }


class Reverse:
    """h · ∂logit_c/∂h at the positions by reverse mode: a graph that is kept, and a backward pass a class."""

    def __init__(self, recording: Recording, layer: str, positions: Tensor):
        with torch.enable_grad():
            self.maps = recording.maps[layer].detach().clone().requires_grad_()
            self.logits = recording.replay(layer, self.maps)
        cells = (positions * torch.tensor(self.maps.shape[2:])).long().to(self.maps.device)
        self.place = torch.arange(len(cells), device=cells.device), cells[:, 0], cells[:, 1]

    def classes(self, count: int) -> list[int]:
        """Spread evenly over all."""
        return torch.linspace(0, self.logits.shape[1] - 1, min(count, self.logits.shape[1])).long().tolist()

    def of(self, classes: list[int]) -> Tensor:
        """(B, len(classes))"""
        found = []
        for c in classes:
            (gradient,) = torch.autograd.grad(self.logits[:, c].sum(), self.maps, retain_graph=True)
            found.append(self._product(gradient))
        return torch.stack(found, dim=1)

    def one_by_one(self, count: int) -> Tensor:
        return self.of(self.classes(count))

    def vmapped(self, count: int) -> Tensor:
        seeds = torch.zeros(count, *self.logits.shape, device=self.logits.device)
        seeds[torch.arange(count), :, torch.tensor(self.classes(count))] = 1
        (gradients,) = torch.autograd.grad(self.logits, self.maps, seeds, retain_graph=True, is_grads_batched=True)
        return torch.stack([self._product(gradient) for gradient in gradients], dim=1)

    def _product(self, gradient: Tensor) -> Tensor:
        batch, rows, columns = self.place
        return (gradient[batch, :, rows, columns] * self.maps.detach()[batch, :, rows, columns]).sum(dim=1)


def whole_pass(network: Network, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        inputs = network.normalize(pixels).contiguous(memory_format=torch.channels_last)
        return network.module(inputs)


def without_gradients(function: Callable[[], object]) -> Callable[[], object]:
    return torch.no_grad()(function)


def median_s(function: Callable[[], object], repeats: int) -> float:
    function()
    return statistics.median(timed_s(function) for _ in range(repeats))


def timed_s(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def as_markdown(figures: dict) -> str:
    lines = [
        f"{figures['photos']} photos, one activation each, {figures['classes']} classes, {figures['network']}, "
        f"{figures['device']}, {figures['cores']} cores, torch {figures['torch']} with {figures['torch_threads']} "
        f"threads, float32, median of {figures['repeats']}. Whole pass: {figures['whole_pass_s']} s.",
        "",
        "| layer | partial pass, s | cost in partial passes: patch replacement | mean replacement | removal | gradient "
        "| smoothed gradient | reverse mode, all classes, s "
        "| gradient is faster by | vmapped reverse, s | faster by | worst difference |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        cost = row["cost_in_partial_passes"]
        lines.append(
            f"| {row['layer']} | {row['partial_pass_s']} | {cost['patch-replacement']} | {cost['mean-replacement']} "
            f"| {cost['removal']} | {cost['gradient']} | {cost['smooth-gradient']} "
            f"| {row['reverse_s']} | {row['times_faster_than_reverse']}× "
            f"| {row['vmapped_reverse_s']} | {row['times_faster_than_vmapped']}× "
            f"| {row['worst_relative_difference']:.1e} |"
        )
    lines += [
        "",
        f"Reverse mode was timed on {CLASS_COUNT_TIMED} classes at a time (vmapped: {CHUNK}) and scaled to all; "
        f"the difference is over {figures['rows'][0]['classes_checked']} classes.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
