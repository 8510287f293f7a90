"""How well pictures answer: exactly as the contract's "Fidelity of an icon"."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from actatlas.errors import UsageError
from actatlas.networks import Network
from actatlas.values import Icons

_BATCH = 16
_SHIFT_PX = 8
_SCALES = 0.9, 1.1


def positions_last(maps: Tensor) -> Tensor:
    """(B, C, H, W) → (B, H, W, C): a view, and where maps are channels_last its gradient is too, in one piece."""
    return maps.permute(0, 2, 3, 1)


def centre(answers: Tensor) -> Tensor:
    """(B, H, W, C) → (B, C): the central position, or the mean of the two or four where a count is even."""
    height, width = answers.shape[1:3]
    rows, columns = slice((height - 1) // 2, height // 2 + 1), slice((width - 1) // 2, width // 2 + 1)
    return answers[:, rows, columns].float().mean(dim=(1, 2))


def measure_icons(
    network: Network, layer: Any, icons: np.ndarray, position: tuple[int, int] | None = None
) -> np.ndarray:
    """(K, C) float32: what the layer answers at the centre of each icon, or at a position (row, column) of its map.

    layer: its name, or any object that has it as `.name`
    icons: (K, S, S, 3) uint8, fed alone at their own size in float32; centred on mean colour where the network's input
        is fixed; as brightness (Rec. 601) to a network with one channel; (K, S, S, channels) for one with others
    """
    pixels = _as_pixels(network, icons)
    return _answers(network, getattr(layer, "name", layer), pixels, position).numpy()


def measure(
    network: Network, layer: str, pixels: np.ndarray, targets: np.ndarray, target_rows: np.ndarray, mean: np.ndarray
) -> Icons:
    """Icons with their figures.

    pixels: (K, S, S, 3) uint8; targets: (M, C), all candidates for the rank; target_rows: (K,) each icon's own target
    mean: (C,) of the layer; every cosine is between an answer and a target, both less this mean

    shifted_cosine is the mean over the picture moved by 8 px to the left, right, top and bottom, and scaled about its
    centre by 0.9 and 1.1; what this uncovers is filled with the picture's edge pixels.
    """
    icons = _as_pixels(network, pixels)
    plain = cosines_to_targets(_answers(network, layer, icons).numpy(), targets, mean)
    own = plain[np.arange(len(plain)), target_rows]
    varied = []
    for variant in _variants(icons):
        answers = _answers(network, layer, variant).numpy()
        varied.append(paired_cosines(answers, np.asarray(targets)[target_rows], mean))
    return Icons(
        pixels=pixels,
        cosine=own.astype(np.float32),
        rank=ranks(plain, target_rows),
        shifted_cosine=np.mean(varied, axis=0).astype(np.float32),
    )


def cosines_to_targets(answers: np.ndarray, targets: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(K, M) between every answer (K, C) and target (M, C), both less `mean`; 0 for what has no direction."""
    return _directions(answers, mean) @ _directions(targets, mean).T


def paired_cosines(answers: np.ndarray, targets: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(K,) between each answer (K, C) and its own target (K, C), both less `mean`; 0 for what has no direction."""
    return (_directions(answers, mean) * _directions(targets, mean)).sum(axis=1)


def ranks(cosines: np.ndarray, target_rows: np.ndarray) -> np.ndarray:
    """(K,) int32: how many targets have a higher cosine than the icon's own. cosines: (K, M)."""
    own = cosines[np.arange(len(cosines)), target_rows]
    return (cosines > own[:, None]).sum(axis=1).astype(np.int32)


def _directions(vectors: np.ndarray, mean: np.ndarray) -> np.ndarray:
    centred = np.asarray(vectors, np.float64) - np.asarray(mean, np.float64)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def _as_pixels(network: Network, icons: np.ndarray) -> Tensor:
    """(K, 3 or channels, S, S) float32 in [0, 1]."""
    channel_count = max(network.preprocessing.channel_count, 3)
    if icons.ndim != 4 or icons.shape[3] != channel_count or icons.dtype != np.uint8:
        raise UsageError(f"icons are (K, S, S, {channel_count}) uint8, not {icons.shape} {icons.dtype}")
    return torch.from_numpy(np.ascontiguousarray(icons)).permute(0, 3, 1, 2).float() / 255


def _answers(network: Network, layer: str, pixels: Tensor, position: tuple[int, int] | None = None) -> Tensor:
    """(K, C) float32, on the CPU."""
    if network.preprocessing.channel_count == 1:
        pixels = (pixels * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=1, keepdim=True)
    answers = [torch.empty(0, network.layer(layer).shape[0])]
    with torch.no_grad():
        for batch in pixels.split(_BATCH) if len(pixels) else ():  # attention over windows takes no empty batch
            inputs = network.normalize(network.fit(batch.to(network.device)))
            maps = positions_last(network.activations(inputs, [layer])[layer])
            answers.append((centre(maps) if position is None else maps[:, *position].float()).cpu())
    return torch.cat(answers)


def _variants(pixels: Tensor) -> list[Tensor]:
    side = pixels.shape[-1]
    moved = pad(pixels, [_SHIFT_PX] * 4, mode="replicate")
    twice = 2 * _SHIFT_PX
    places = (0, _SHIFT_PX), (twice, _SHIFT_PX), (_SHIFT_PX, 0), (_SHIFT_PX, twice)
    return [moved[:, :, top : top + side, left : left + side] for top, left in places] + [
        _scaled(pixels, scale) for scale in _SCALES
    ]


def _scaled(pixels: Tensor, scale: float) -> Tensor:
    side = pixels.shape[-1]
    size = round(side * scale)
    scaled = interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
    if size >= side:
        start = (size - side) // 2
        return scaled[:, :, start : start + side, start : start + side]
    before = (side - size) // 2
    return pad(scaled, [before, side - size - before] * 2, mode="replicate")
