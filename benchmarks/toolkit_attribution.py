"""Where a photo speaks for a class, by three ways of saying it, each tried by taking those places away.

    python benchmarks/toolkit_attribution.py [--photos 20] [--seed 0]    # photos by ACTATLAS_PHOTOS

The table of docs/toolkit.md. EfficientNet-Lite0 as it is packaged; evenly spaced photos of the folder, the class that
each is taken for. Maps of attribution:

- patch replacement: what `spatial_attribution` gives;
- mean replacement: what the logit loses when the activation at the place alone becomes the layer's mean;
- integrated gradients from the layer's mean to the photo, 32 steps, summed over channels.

The places with the highest attribution become the layer's mean, in patches (as large as a patch replacement's) or
singly, until the share of the layer is reached; so do as many at random, eight times. What is counted is how much more
the logit loses by the first than by the second on average: its mean over photos, and in how many photos it is above 0.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import actatlas
from actatlas.collect import attribute
from actatlas.errors import NoImages
from actatlas.images import open_source
from actatlas.networks import Recording
from actatlas.toolkit import Studio
from actatlas.values import AttributionMethod

LAYERS = ("blocks.6.expanded", "blocks.11.expanded", "blocks.15.expanded")
SHARES = (0.05, 0.2)
COPIES, PATH_STEPS, RANDOM_SETS = 8, 32, 8
WAYS = ("patch replacement", "mean replacement of single places", "integrated gradients, summed over channels")


class Case:
    """One photo and one layer of a network. index: of the class; baseline: (C,), what stands in a place's place."""

    def __init__(self, studio: Studio, photo: Path, layer: str, seed: int):
        levels = studio.levels(layer)
        self.layer, self.window, self.baseline = layer, levels.window, torch.from_numpy(levels.baseline)
        inputs = studio.see(photo).inputs.repeat(COPIES, 1, 1, 1)
        self.recording: Recording = studio.network.record(inputs, [layer])
        self.maps = self.recording.maps[layer]  # (COPIES, C, H, W)
        self.index = int(self.recording.logits[0].argmax())
        self.random = np.random.default_rng(seed)

    @property
    def map_size(self) -> tuple[int, int]:
        return tuple(self.maps.shape[2:])

    def lost(self, goes: Tensor) -> np.ndarray:
        """(n,) of the logit, with the baseline where `goes` (n, H, W), n at most COPIES."""
        whole = torch.cat([goes, goes[:1].expand(COPIES - len(goes), *self.map_size)])[:, None]
        maps = torch.where(whole, self.baseline[:, None, None], self.maps)
        without = self.recording.replay(self.layer, maps)
        return (self.recording.logits - without)[: len(goes), self.index].numpy()

    def replaced(self, method: AttributionMethod) -> np.ndarray:
        """(places,) by the toolkit's own attribution, row by row."""
        height, width = self.map_size
        rows, columns = np.indices(self.map_size).reshape(2, -1) + 0.5
        places = torch.from_numpy(np.stack([rows / height, columns / width], axis=1))
        found = []
        for part in places.split(COPIES):
            whole = torch.cat([part, part[:1].expand(COPIES - len(part), 2)])
            effects = attribute(self.recording, self.layer, whole, method, self.baseline, self.window)
            found.append(effects[: len(part), self.index])
        return torch.cat(found).numpy()

    def integrated(self) -> np.ndarray:
        """(places,)"""
        start, end = self.baseline[:, None, None], self.maps[:1]
        slope = torch.zeros_like(end[0])
        for part in ((torch.arange(PATH_STEPS) + 0.5) / PATH_STEPS).split(COPIES):
            with torch.enable_grad():
                between = (start + part[:, None, None, None] * (end - start)).requires_grad_()
                logits = self.recording.replay(self.layer, between)[:, self.index]
                (gradient,) = torch.autograd.grad(logits.sum(), between)
            slope += gradient.sum(dim=0) / PATH_STEPS
        return (slope * (end[0] - start)).sum(dim=0).flatten().numpy()

    def masks(self, reach: int) -> Tensor:
        """(places, H, W) bool: each place with those around it as far as `reach`."""
        height, width = self.map_size
        rows = (torch.arange(height)[:, None] - torch.arange(height)).abs() <= reach
        columns = (torch.arange(width)[:, None] - torch.arange(width)).abs() <= reach
        return (rows[:, None, :, None] & columns[None, :, None, :]).reshape(-1, height, width)

    def excess(self, values: np.ndarray, masks: Tensor) -> list[float]:
        """For each share what the logit loses more than without as much at random."""

        def grown(order: np.ndarray) -> Tensor:
            taken = masks[torch.from_numpy(order)].to(torch.uint8).cummax(dim=0).values
            area = taken.flatten(1).float().mean(dim=1)
            return taken[[min(int((area < share).sum()), len(area) - 1) for share in SHARES]].bool()

        highest = self.lost(grown(np.argsort(-values, kind="stable")))
        draws = torch.stack([grown(self.random.permutation(len(values))) for _ in range(RANDOM_SETS)])
        by_chance = [self.lost(draws[:, i]).mean() for i in range(len(SHARES))]
        return [float(high - low) for high, low in zip(highest, by_chance, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = os.environ.get("ACTATLAS_PHOTOS")
    if not folder:
        raise NoImages("no photos: set ACTATLAS_PHOTOS to a folder of them")
    studio = Studio(actatlas.load_network(), folder, options.seed)
    records = open_source(folder).records
    chosen = np.linspace(0, len(records) - 1, options.photos).round().astype(int)
    for layer in LAYERS:
        studio.levels(layer)  # learnt by gradients, so before these are off
    found: dict[tuple[str, str, str], list[list[float]]] = {}  # (layer, taken away, way) → by photo, by share
    for number, row in enumerate(chosen):
        for layer in LAYERS:
            with torch.no_grad():
                measure(Case(studio, Path(records[row].path), layer, options.seed), found)
        print(f"{number + 1} of {len(chosen)}: {records[row].path}", file=sys.stderr, flush=True)
    print(table({key: np.array(values) for key, values in found.items()}))


def measure(case: Case, found: dict[tuple[str, str, str], list[list[float]]]) -> None:
    ways: dict[str, Callable[[], np.ndarray]] = {
        WAYS[0]: lambda: case.replaced("patch-replacement"),
        WAYS[1]: lambda: case.replaced("mean-replacement"),
        WAYS[2]: case.integrated,
    }
    masks = {"in patches": case.masks(case.window // 2), "singly": case.masks(0)}
    for way, values_of in ways.items():
        values = values_of()
        for taken, mask in masks.items():
            found.setdefault((case.layer, taken, way), []).append(case.excess(values, mask))


def table(found: dict[tuple[str, str, str], np.ndarray]) -> str:
    lines = [f"| removed | {' | '.join(layer.removesuffix('.expanded') for layer in LAYERS)} |", "|---" * 4 + "|"]
    for taken in ("in patches", "singly"):
        for place, share in enumerate(SHARES):
            for way in WAYS:
                cells = [found[layer, taken, way][:, place] for layer in LAYERS]
                told = [f"{c.mean():.2f} ({(c > 0).sum()})".replace("-", "−") for c in cells]
                lines.append(f"| {share:.0%} of the places, {taken}, by {way} | {' | '.join(told)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
