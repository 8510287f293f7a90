"""Theoretical receptive fields: which part of the input a layer's position answers to.

A tensor that carries its extent goes through the network's own code; each convolution and pooling widens it (Araujo,
Norris and Sim 2019, "Computing receptive fields of convolutional neural networks"). So functional code, branches and
modules that are called twice need no special care. Padding is no part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from actatlas.networks.running import plain_paths


@dataclass(frozen=True)
class Extent:
    """size_px: side of the receptive field; jump_px: from one position to the next; whole_px: the input's side."""

    size_px: float
    jump_px: float
    whole_px: int

    def after(self, kernel: int, stride: int, dilation: int = 1) -> Extent:
        return Extent(self.size_px + (kernel - 1) * dilation * self.jump_px, self.jump_px * stride, self.whole_px)

    def enlarged(self, kernel: int, scale: float) -> Extent:
        """Behind an up-sampling that makes each position from `kernel` of those before."""
        return Extent(self.size_px + (kernel - 1) * self.jump_px, self.jump_px / scale, self.whole_px)

    def everything(self) -> Extent:
        return Extent(max(self.size_px, self.whole_px), self.jump_px, self.whole_px)


def extents(module: nn.Module, inputs: Tensor) -> dict[tuple[str, int], Extent]:
    """(module name, which call from 0) → extent of its output; nothing of a network that such tensors cannot pass."""
    found: dict[tuple[str, int], Extent] = {}
    counts: Counter = Counter()

    def hook_for(name: str) -> Callable:
        def hook(_inner: nn.Module, _inputs: Any, output: Any) -> None:
            extent = getattr(output, "extent", None)
            if extent is not None:
                found[name, counts[name]] = extent
            counts[name] += 1

        return hook

    handles = [inner.register_forward_hook(hook_for(name)) for name, inner in module.named_modules() if name]
    start = inputs.as_subclass(_Extended)
    start.extent = Extent(1, 1.0, max(inputs.shape[2:]))
    try:
        with torch.no_grad(), plain_paths():
            module(start)
    except Exception:  # foreign code that wants plain tensors may raise anything; what was found before it holds
        return found
    finally:
        for handle in handles:
            handle.remove()
    return found


class _Extended(Tensor):
    extent: Extent

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: tuple = (), named: Mapping | None = None) -> Any:
        named = named or {}
        result = super().__torch_function__(function, types, arguments, named)
        sources = [e for t in _tensors((*arguments, *named.values())) if (e := getattr(t, "extent", None))]
        if sources:
            # A gate (one number for a whole map) sees all, but does not change where the positions lie.
            before = Extent(max(s.size_px for s in sources), min(s.jump_px for s in sources), sources[0].whole_px)
            extent = _behind(function, before, len(sources), arguments, named)
            for tensor in _tensors(result):
                if isinstance(tensor, _Extended):
                    tensor.extent = extent
        return result


_CONVOLUTIONS = {F.conv2d, torch.conv2d}
_TRANSPOSED = {F.conv_transpose2d, torch.conv_transpose2d}
_POOLS = {F.max_pool2d, F.avg_pool2d, F.max_pool2d_with_indices, torch.max_pool2d, torch._C._nn.avg_pool2d}
_MIXING = {
    torch.matmul, torch.bmm, Tensor.matmul, Tensor.__matmul__, Tensor.bmm,
    F.scaled_dot_product_attention, F.multi_head_attention_forward, torch.einsum,
}  # fmt: skip
_ADAPTIVE = {F.adaptive_avg_pool2d, F.adaptive_max_pool2d}
_REDUCTIONS = {torch.mean, Tensor.mean, torch.sum, Tensor.sum, torch.amax, Tensor.amax}


def _behind(function: Any, before: Extent, source_count: int, arguments: tuple, named: Mapping) -> Extent:
    def argument(name: str, place: int, default: Any = None) -> Any:
        return named.get(name, arguments[place] if len(arguments) > place else default)

    if function in _CONVOLUTIONS or function in _TRANSPOSED:
        kernel, stride = int(argument("weight", 1).shape[-1]), _last(argument("stride", 3, 1))
        if function in _TRANSPOSED:
            return before.enlarged(-(-kernel // stride), stride)
        return before.after(kernel, stride, _last(argument("dilation", 5, 1)))
    if function in _POOLS:
        kernel, stride = _last(argument("kernel_size", 1)), argument("stride", 2)
        return before.after(kernel, _last(stride) if stride not in (None, [], ()) else kernel)
    if function is F.interpolate:
        scale = _scale(argument("size", 1), argument("scale_factor", 2), arguments[0])
        kernel = {"nearest": 1, "bicubic": 4}.get(argument("mode", 3, "nearest"), 2)
        return before.enlarged(kernel, scale)
    # A product of two things that both come from the image is attention: it sees everything that they see.
    if function in _MIXING and source_count > 1:
        return before.everything()
    if function in _ADAPTIVE:
        side = arguments[0].shape[-1]
        wanted = _last(argument("output_size", 1) or side) if argument("output_size", 1) is not None else side
        is_even = wanted > 1 and side % wanted == 0
        return before.after(side // wanted, side // wanted) if is_even else before.everything()
    if function in _REDUCTIONS and _is_over_positions(arguments[0].ndim, argument("dim", 1)):
        return before.everything()
    return before


def _is_over_positions(dimension_count: int, dims: Any) -> bool:
    """Whether a mean or sum runs over rows and columns, or over tokens: not over channels alone."""
    if dims is None:
        return True
    over = {int(d) % dimension_count for d in (dims if isinstance(dims, list | tuple) else [dims])}
    return over >= {2, 3} or over >= {1, 2} if dimension_count == 4 else 1 in over


def _scale(size: Any, factor: Any, inputs: Tensor) -> float:
    if factor is not None:
        return float(factor[-1] if isinstance(factor, list | tuple) else factor)
    return _last(size) / inputs.shape[-1]


def _last(value: Any) -> int:
    return int(value[-1]) if isinstance(value, list | tuple) else int(value)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [tensor for item in value for tensor in _tensors(item)]
    return []
