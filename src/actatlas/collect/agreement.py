"""Is a fast precision good enough for attributions too? They are small differences of large logits: they suffer first.

Measured on 64 photos (EfficientNet-Lite0, mean replacement; median over photos of the correlation over classes with
float32, after blocks 3, 8, 11, 14's expansion): bfloat16 0.53, 0.96, 0.95, 0.98; float16 0.98, 1.00, 1.00, 1.00.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from actatlas.collect.attribution import GRADIENTS, attribute
from actatlas.networks import folded
from actatlas.values import AttributionMethod

if TYPE_CHECKING:
    from actatlas.collect.pilot import Pilot
    from actatlas.networks import Network

MIN_CORRELATION = 0.97


def as_collected(
    network: Network, layers: Sequence[str], pilot: Pilot, attribution: AttributionMethod | None
) -> Network:
    """The network as photos are run through it: batch norms folded, in the pilot's precision."""
    quick = folded(network, list(layers), joins=attribution not in GRADIENTS)
    return quick if pilot.precision == "float32" else quick.converted(getattr(torch, pilot.precision))


def attributions_agree(
    network: Network, pilot: Pilot, pixels: torch.Tensor, positions: np.ndarray, method: AttributionMethod
) -> bool:
    """Whether, in every layer, the attributions in the pilot's precision are those in float32.

    pixels: (B, channels, H, W), on the network's device; positions: (B, 2), one a photo
    """
    fast = as_collected(network, list(pilot.map_sizes), pilot, method)
    exact, rounded = (attributions(each, pilot, pixels, positions, method) for each in (network, fast))
    return all(np.median(correlations(exact[layer], rounded[layer])) >= MIN_CORRELATION for layer in exact)


def attributions(
    network: Network, pilot: Pilot, pixels: torch.Tensor, positions: np.ndarray, method: AttributionMethod
) -> dict[str, np.ndarray]:
    """Layer → (B, classes) float32."""
    with torch.no_grad():
        recording = network.record(network.normalize(pixels), list(pilot.map_sizes))
        return {
            layer: attribute(
                recording, layer, torch.from_numpy(positions), method, torch.from_numpy(baseline), pilot.windows[layer]
            )
            .cpu()
            .numpy()
            for layer, baseline in pilot.baselines.items()
        }


def correlations(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(B,) Pearson's, over classes; 1 where both rows are constant, which say nothing, 0 where one is."""
    one, other = (rows.astype(np.float64) - rows.mean(axis=1, keepdims=True) for rows in (one, other))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    both_constant = (np.linalg.norm(one, axis=1) == 0) & (np.linalg.norm(other, axis=1) == 0)
    return np.where(both_constant, 1.0, (one * other).sum(axis=1) / np.where(lengths > 0, lengths, np.inf))
