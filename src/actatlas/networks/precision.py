"""Half precision where it pays and changes nothing that matters: measured on the pilot's photos, then frozen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from actatlas.networks.folding import folded
from actatlas.values import Precision

if TYPE_CHECKING:
    from actatlas.networks.network import Network

LEAST_COSINE = 0.999
_PHOTOS = 16
_LEAST_GAIN = 1.15  # a smaller one is within the noise of a clock


def resolve_precision(
    network: Network, pixels: Tensor, layers: Sequence[str], wanted: Precision
) -> tuple[Precision, dict[str, float]]:
    """The precision to collect in, and for each layer the 1st percentile of its activations' cosine to float32's.

    pixels: (B, channels, H, W) float32 in [0, 1]; the first 16 are used.
    "auto" takes float16 or bfloat16, whichever is faster, if it is at least 15% faster than float32 and every layer's
    figure reaches 0.999. Measured on EfficientNet-Lite0: float16 0.9999, bfloat16 0.991 to 0.998.
    """
    if wanted == "float32":
        return "float32", dict.fromkeys(layers, 1.0)
    inputs = network.normalize(pixels[:_PHOTOS])
    network = folded(network, layers)
    exact, exact_s = _timed(network, inputs, layers)
    names: tuple[Precision, ...] = (wanted,) if wanted != "auto" else _candidates(network.device)
    fastest: tuple[float, Precision, dict[str, float]] = (exact_s / _LEAST_GAIN, "float32", dict.fromkeys(layers, 1.0))
    for name in names:
        other, other_s = _timed(network.converted(getattr(torch, name)), inputs, layers)
        agreement = {layer: _agreement(exact[layer], other[layer]) for layer in layers}
        if wanted != "auto":
            return name, agreement
        if other_s <= fastest[0] and min(agreement.values()) >= LEAST_COSINE:
            fastest = (other_s, name, agreement)
    return fastest[1], fastest[2]


def _candidates(device: torch.device) -> tuple[Precision, ...]:
    """float16 on a processor that lacks its instructions is emulated, hundreds of times slower: not even tried."""
    has_float16 = device.type != "cpu" or any(
        torch.cpu.get_capabilities().get(name, False) for name in ("avx512_fp16", "amx_fp16")
    )
    return ("float16", "bfloat16") if has_float16 else ("bfloat16",)


def _timed(network: Network, inputs: Tensor, layers: Sequence[str]) -> tuple[dict[str, Tensor], float]:
    """Maps and the shortest of three times, after one pass that is not counted."""
    times = []
    with torch.no_grad():
        network.activations(inputs[:2], layers)
        for _ in range(3):
            started = time.perf_counter()
            maps = network.activations(inputs, layers)
            if inputs.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - started)
    return maps, min(times)


def _agreement(exact: Tensor, other: Tensor) -> float:
    a = exact.float().permute(0, 2, 3, 1).flatten(0, 2)  # (B·H·W, C)
    b = other.float().permute(0, 2, 3, 1).flatten(0, 2)
    alive = a.norm(dim=1) > 0
    cosines = torch.nn.functional.cosine_similarity(a[alive], b[alive], dim=1)
    return float(torch.quantile(cosines[:: max(1, len(cosines) // 100_000)], 0.01)) if len(cosines) else 1.0
