"""A layer's output, whatever its form, as maps (B, C, H, W), and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from actatlas.values import LayerForm

# Beyond this ratio of its sides to the input's, a 4-D output holds no positions: (B, heads, tokens, channels), say.
_WIDEST_MISFIT = math.log(3)
# Class token, distillation token, class token and four registers.
_PREFIX_COUNTS = (0, 1, 2, 5)


@dataclass(frozen=True)
class Form:
    """How a layer's output holds its positions.

    kind: "maps", "tokens" or "vectors"
    is_channels_last: maps are (B, H, W, C)
    prefix_count: tokens that are no positions (class, registers), the first ones
    size: (H, W) of the maps at the network's native input size
    """

    kind: LayerForm
    is_channels_last: bool
    prefix_count: int
    size: tuple[int, int]


def form_of(shape: tuple[int, ...], input_px: tuple[int, int], prefix_count: int | None) -> Form | None:
    """The form of an output of this shape, batch included; None if it is none that makes an atlas.

    prefix_count: what the network says of its tokens; None lets the count of tokens tell.
    """
    if len(shape) == 2:
        return Form("vectors", False, 0, (1, 1))
    if len(shape) == 3:
        prefix, size = _token_grid(shape[1], input_px, prefix_count)
        return Form("tokens", False, prefix, size)
    if len(shape) == 4 and 0 not in shape:
        _, a, b, c = shape
        first, last = _misfit((b, c), input_px), _misfit((a, b), input_px)
        size = (a, b) if last < first else (b, c)
        is_narrow = min(size) <= 2  # rounding alone gives it a ratio of its own
        return Form("maps", last < first, 0, size) if min(first, last) <= _WIDEST_MISFIT or is_narrow else None
    return None


def to_maps(output: Tensor, form: Form) -> Tensor:
    """→ (B, C, H, W)"""
    if form.kind == "vectors":
        return output[:, :, None, None]
    if form.kind == "tokens":
        tokens = output[:, form.prefix_count :]  # (B, T, C)
        return tokens.transpose(1, 2).unflatten(2, _size_of(tokens.shape[1], form))
    return output.permute(0, 3, 1, 2) if form.is_channels_last else output


def from_maps(maps: Tensor, output: Tensor, form: Form) -> Tensor:
    """`maps` (B, C, H, W) in the form of `output`, whose prefix tokens are kept."""
    if form.kind == "vectors":
        return maps[:, :, 0, 0]
    if form.kind == "tokens":
        tokens = maps.flatten(2).transpose(1, 2)  # (B, T, C)
        prefix = output[:, : form.prefix_count]
        return tokens if form.prefix_count == 0 else torch.cat([prefix, tokens], dim=1)
    return maps.permute(0, 2, 3, 1) if form.is_channels_last else maps


def _misfit(size: tuple[int, int], input_px: tuple[int, int]) -> float:
    """0 where the map has the shape of the input; logarithmic."""
    return abs(math.log(size[0] * input_px[1] / (size[1] * input_px[0])))


def _size_of(count: int, form: Form) -> tuple[int, int]:
    """The map that `count` tokens make: the native one, or for another input size a square, or a column."""
    if form.size[0] * form.size[1] == count:
        return form.size
    side = math.isqrt(count)
    return (side, side) if side * side == count and form.size[1] > 1 else (count, 1)


def _token_grid(count: int, input_px: tuple[int, int], prefix_count: int | None) -> tuple[int, tuple[int, int]]:
    height, width = input_px
    for prefix in _PREFIX_COUNTS if prefix_count is None else (prefix_count, 0):
        left = count - prefix
        rows = round((left * height / width) ** 0.5) if left > 0 else 0
        if rows > 0 and left % rows == 0 and rows * width == left // rows * height and (left >= 4 or prefix == 0):
            return prefix, (rows, left // rows)
    return 0, (count, 1)
