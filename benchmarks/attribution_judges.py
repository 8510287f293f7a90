"""Which attribution can be trusted? Estimators, judged on interventions that none of them is.

    ACTATLAS_PHOTOS=FOLDER python benchmarks/attribution_judges.py [--network SPEC] [--layer NAME …] [--count 512]

One activation of each photo, at a random inner position. Judges, each the change of all logits in the whole network:
*others*: the activation is replaced by those of 8 other photos in turn (kin to mean replacement: its expectation is
near it); *block*: a 3 × 3 block of positions around it is replaced by another photo's, four in turn; *blurred*: the
photo's patch (the layer's patch_px around the position) is blurred until no detail is left; *swapped*: the patch is
replaced by another photo's, four in turn.

Score: Spearman's correlation of estimate and judge over classes, mean over activations | over activations, for each
activation's top class, where ‖h‖ is the baseline. *Names*: the median rank of the top class among all by the estimate
(0 is first) | how often it is among the first 20.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from actatlas.collect import CollectSettings, Pilot, attribute, run_pilot
from actatlas.images import open_source
from actatlas.networks import Network, Recording, load_network
from actatlas.progress import Silent
from actatlas.values import AttributionMethod, ImageSource

LAYERS = ["blocks.3.expanded", "blocks.6.expanded", "blocks.11.expanded", "blocks.15.expanded"]
BATCH = 9  # photos that stand in for one another
TURNS = 4


@dataclass(frozen=True)
class Scene:
    """A batch of photos (B, 3, h, w), recorded, and the position of one activation of each (B, 2)."""

    network: Network
    pixels: Tensor
    recording: Recording
    layer: str
    positions: Tensor
    pilot: Pilot

    @property
    def mean(self) -> Tensor:
        return torch.from_numpy(self.pilot.baselines[self.layer])

    @property
    def patch_px(self) -> int:
        return self.pilot.patch_px[self.layer]

    @property
    def maps(self) -> Tensor:
        return self.recording.maps[self.layer]

    @property
    def place(self) -> tuple[Tensor, Tensor, Tensor]:
        size = torch.tensor(self.maps.shape[2:])
        cells = (self.positions * size).long()
        return torch.arange(len(cells)), cells[:, 0], cells[:, 1]

    def window(self, half: int) -> Tensor:
        """(B, 1, H, W) bool: positions at most `half` from the activation."""
        height, width = self.maps.shape[2:]
        _, rows, columns = (p[:, None, None] for p in self.place)
        down, across = torch.arange(height)[None, :, None], torch.arange(width)[None, None]
        return (((down - rows).abs() <= half) & ((across - columns).abs() <= half))[:, None]

    def lost(self, maps: Tensor) -> Tensor:
        """What the logits lose with these maps in the layer's place."""
        return self.recording.logits - self.recording.replay(self.layer, maps)

    def gained(self, window: Tensor, inside: Tensor) -> Tensor:
        """What the logits gain by `inside` in a map of the layer's mean."""
        plain = self.mean[:, None, None].expand_as(self.maps).contiguous()
        filled = torch.where(window, inside, plain)
        return self.recording.replay(self.layer, filled) - self.recording.replay(self.layer, plain)


def by(method: AttributionMethod) -> Callable[[Scene], Tensor]:
    return lambda s: attribute(s.recording, s.layer, s.positions, method, s.mean, s.pilot.windows[s.layer])


def gradient_of_difference(s: Scene) -> Tensor:
    tangent = torch.where(s.window(0), s.maps - s.mean[:, None, None], torch.zeros_like(s.maps))
    return s.recording.derivative(s.layer, tangent)


def window_replaced(half: int) -> Callable[[Scene], Tensor]:
    return lambda s: s.lost(torch.where(s.window(half), s.mean[:, None, None], s.maps))


def softly_replaced(sigma: float) -> Callable[[Scene], Tensor]:
    """The activation becomes the mean, its neighbours do the less the farther they are."""

    def estimate(s: Scene) -> Tensor:
        height, width = s.maps.shape[2:]
        _, rows, columns = (p[:, None, None] for p in s.place)
        down, across = torch.arange(height)[None, :, None], torch.arange(width)[None, None]
        share = torch.exp(-((down - rows) ** 2 + (across - columns) ** 2) / (2 * sigma**2))[:, None]
        return s.lost(s.maps + share * (s.mean[:, None, None] - s.maps))

    return estimate


def window_filled(half: int) -> Callable[[Scene], Tensor]:
    """The activation's neighbourhood becomes more of the activation, then is replaced: its effect on a surface."""

    def estimate(s: Scene) -> Tensor:
        batch, rows, columns = s.place
        own = s.maps[batch, :, rows, columns][:, :, None, None]
        with_own = s.recording.replay(s.layer, torch.where(s.window(half), own, s.maps))
        return with_own - s.recording.replay(s.layer, torch.where(s.window(half), s.mean[:, None, None], s.maps))

    return estimate


def evidence(s: Scene) -> Tensor:
    batch, rows, columns = s.place
    own = s.maps[batch, :, rows, columns][:, :, None, None].expand_as(s.maps)
    return s.gained(torch.ones_like(s.window(0)), own)


def surrounded(half: int) -> Callable[[Scene], Tensor]:
    return lambda s: s.gained(s.window(half), s.maps)


ESTIMATORS: dict[str, Callable[[Scene], Tensor]] = {
    "gradient × h": by("gradient"),
    "smoothed gradient × h": by("smooth-gradient"),
    "gradient × (h − mean)": gradient_of_difference,
    "removal": by("removal"),
    "mean replacement": by("mean-replacement"),
    "patch replacement": by("patch-replacement"),
    "mean replacement, 3 × 3": window_replaced(1),
    "mean replacement, 5 × 5": window_replaced(2),
    "soft replacement, σ 1.0": softly_replaced(1.0),
    "activation over 3 × 3, replaced": window_filled(1),
    "alone": surrounded(0),
    "alone, 3 × 3": surrounded(1),
    "evidence": evidence,
}


def others(s: Scene) -> Tensor:
    """BATCH − 1 others, the activation's own photo left out; another position of theirs."""
    batch, rows, columns = s.place
    vectors = s.maps[batch, :, rows, columns]
    turned = [vectors.roll(turn, 0)[:, :, None, None] for turn in range(1, BATCH)]
    return torch.stack([s.lost(_put(s, inside, 0)) for inside in turned]).mean(dim=0)


def block(s: Scene) -> Tensor:
    """Another photo's block, from the same place in it."""
    return torch.stack([s.lost(_put(s, s.maps.roll(turn, 0), 1)) for turn in range(1, TURNS + 1)]).mean(dim=0)


def _put(s: Scene, inside: Tensor, half: int) -> Tensor:
    return torch.where(s.window(half), inside, s.maps)


def blurred(s: Scene) -> Tensor:
    sigma = max(s.patch_px / 4, 1.0)
    kernel = 2 * round(2 * sigma) + 1
    return _lost_with(s, gaussian_blur(s.pixels, [kernel, kernel], [sigma, sigma]))


def swapped(s: Scene) -> Tensor:
    return torch.stack([_lost_with(s, s.pixels.roll(turn, 0)) for turn in range(1, TURNS + 1)]).mean(dim=0)


def _lost_with(s: Scene, inside: Tensor) -> Tensor:
    """`inside` (B, 3, h, w) on the patch alone."""
    height, width = s.pixels.shape[2:]
    middle = (s.positions * torch.tensor([height, width]))[:, :, None, None]
    down, across = torch.arange(height)[None, :, None] + 0.5, torch.arange(width)[None, None] + 0.5
    half = s.patch_px / 2
    patch = (((down - middle[:, 0]).abs() <= half) & ((across - middle[:, 1]).abs() <= half))[:, None]
    return s.recording.logits - s.network.module(s.network.normalize(torch.where(patch, inside, s.pixels)))


JUDGES: dict[str, Callable[[Scene], Tensor]] = {
    "others": others, "block": block, "blurred": blurred, "swapped": swapped,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default=os.environ.get("ACTATLAS_PHOTOS"), help="folder ($ACTATLAS_PHOTOS)")
    parser.add_argument("--network", default="packaged:efficientnet-lite0")
    parser.add_argument("--layer", action="append")
    parser.add_argument("--count", type=int, default=512, help="photos, one activation each")
    options = parser.parse_args()
    if not options.photos:
        sys.exit("no photos: set ACTATLAS_PHOTOS or give --photos FOLDER")
    network = load_network(options.network)
    source = open_source(options.photos)
    ids = np.random.default_rng(0).permutation(len(source.records))[: options.count // BATCH * BATCH]
    if network.spec.endswith("@none"):
        calibrate(network, source, ids)
    layers = options.layer or LAYERS
    pilot = run_pilot(network, source, layers, CollectSettings(attribution=None, precision="float32"), Silent())
    print(f"{network.spec}, {len(ids)} photos\n")
    print("| layer | estimator | " + " | ".join(JUDGES) + " | mean | names |")
    print("|---|---|" + "---|" * (len(JUDGES) + 2))
    for layer in layers:
        for name, verdict in judged(network, source, ids, layer, pilot).items():
            cells = [
                f"{over_classes:.2f} \\| {over_activations:.2f}" for over_classes, over_activations in verdict.scores
            ]
            means = np.mean(verdict.scores, axis=0)
            cells += [f"{means[0]:.2f} \\| {means[1]:.2f}", verdict.names]
            print(f"| {layer} | {name} | " + " | ".join(cells) + " |", flush=True)


def calibrate(network: Network, source: ImageSource, ids: np.ndarray) -> None:
    """Untrained batch normalisations take these photos' statistics: without, signals fade away through the layers."""
    pixels = torch.stack([network.pixels(source.read(int(i))) for i in ids[:32]])
    norms = [module for module in network.module.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        network.module(network.normalize(pixels))
    for norm in norms:
        norm.eval()


@dataclass(frozen=True)
class Verdict:
    """Of one estimator: for each judge the correlations over classes and over activations, and what it names."""

    scores: list[tuple[float, float]]
    names: str


def judged(network: Network, source: ImageSource, ids: np.ndarray, layer: str, pilot: Pilot) -> dict[str, Verdict]:
    rng = np.random.default_rng(1)
    positions = torch.from_numpy(rng.uniform(0.1, 0.9, (len(ids), 2)))
    estimates: dict[str, list[Tensor]] = {name: [] for name in ESTIMATORS}
    verdicts: dict[str, list[Tensor]] = {name: [] for name in JUDGES}
    norms, tops = [], []
    with torch.no_grad():
        for start in range(0, len(ids), BATCH):
            pixels = torch.stack([network.pixels(source.read(int(i))) for i in ids[start : start + BATCH]])
            recording = network.record(network.normalize(pixels), [layer], for_derivatives=True)
            scene = Scene(network, pixels, recording, layer, positions[start : start + BATCH], pilot)
            for name, estimate in ESTIMATORS.items():
                estimates[name].append(estimate(scene))
            for name, verdict in JUDGES.items():
                verdicts[name].append(verdict(scene))
            batch, rows, columns = scene.place
            norms.append(scene.maps[batch, :, rows, columns].norm(dim=1))
            tops.append(recording.logits.argmax(dim=1))
    top = torch.cat(tops)[:, None]
    joined = {name: torch.cat(parts) for name, parts in verdicts.items()}
    found = {}
    for name, parts in estimates.items():
        estimate = torch.cat(parts)
        rank = (estimate > estimate.gather(1, top)).sum(dim=1).float()
        names = f"{rank.median():.0f} \\| {(rank < 20).float().mean():.0%}"
        found[name] = Verdict([score(estimate, judge, top) for judge in joined.values()], names)
    norm = torch.cat(norms)
    found["‖h‖"] = Verdict([(np.nan, spearman(norm, judge.gather(1, top)[:, 0])) for judge in joined.values()], "")
    return found


def score(estimate: Tensor, verdict: Tensor, top: Tensor) -> tuple[float, float]:
    over_classes = np.mean([spearman(e, v) for e, v in zip(estimate, verdict, strict=True)])
    return float(over_classes), spearman(estimate.gather(1, top)[:, 0], verdict.gather(1, top)[:, 0])


def spearman(one: Tensor, other: Tensor) -> float:
    return float(np.corrcoef(rankdata(one.numpy()), rankdata(other.numpy()))[0, 1])


if __name__ == "__main__":
    main()
