"""Forward-mode differentiation through a network whose weights are fixed, at about the price of two passes.

torch's own rules also differentiate along the weights, and run the tangent's convolutions without the CPU's fast
kernels: 3 to 4 passes (benchmarks/attribution.py). What is linear in its input needs no rule: the tangent goes the same
way as the value. And a value that an earlier pass has kept need not be computed again.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

_LINEAR = {F.conv2d, torch.conv2d, F.linear}  # input, weight, bias, …
_MAX_POOLING = {F.max_pool2d, torch.max_pool2d}
_POOLING_FLOOR = 0.01  # Lucid's: keeps the smoothed pooling of nothing finite


@dataclass(frozen=True)
class _Kept:
    """What a weight gave, and how often that memory had been written to then.

    The weight is held so that no other can get its id: some networks compute theirs at each call.
    """

    weight: Any
    output: Tensor
    version: int


class KeptValues(TorchFunctionMode):
    """While a pass runs inside it: keeps what convolutions, linear maps and batch normalisations give.

    `derivative` takes that for granted, so it is for the same inputs alone. Of a weight that is used more than once,
    and of an output that is changed in place, nothing is taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[int, _Kept | None] = {}  # by the id of a convolution's weight or a normalisation's mean

    def __torch_function__(self, function: Any, types: Any, arguments: tuple = (), named: Mapping | None = None) -> Any:
        result = function(*arguments, **(named or {}))
        if (function in _LINEAR or function is F.batch_norm) and len(arguments) > 1:
            key = id(arguments[1])
            self._kept[key] = None if key in self._kept else _Kept(arguments[1], result, result._version)
        return result

    def of(self, arguments: tuple) -> Tensor | None:
        """What these arguments of a call gave, if that is known."""
        kept = self._kept.get(id(arguments[1])) if len(arguments) > 1 else None
        return kept.output if kept is not None and kept.output._version == kept.version else None


def derivative(
    function: Callable[[Tensor], Tensor],
    value: Tensor,
    tangent: Tensor,
    kept: KeptValues | None = None,
    smooth_pooling: bool = False,
) -> tuple[Tensor, Tensor]:
    """function(value), and its derivative at `value` along `tangent`.

    kept: of a pass in which the function had this very `value`
    smooth_pooling: max-pooling gives its maximum, and as its slope that of mean(x²) / mean(|x|), to which all of a
        window's values contribute and not the largest alone (Lucid's "smooth" gradient, used by the Activation Atlas)
    Raises NotImplementedError if an operation of the function has no forward-mode rule.
    """
    _load_rules()
    # Fused attention has no forward-mode rule; the plain form is the same function.
    with sdpa_kernel(SDPBackend.MATH), forward_ad.dual_level(), _FixedWeights(kept, smooth_pooling):
        result, slope = forward_ad.unpack_dual(function(forward_ad.make_dual(value, tangent)))
        return result, torch.zeros_like(result) if slope is None else slope


class _FixedWeights(TorchFunctionMode):
    """Convolutions, linear maps and frozen batch normalisation, of a value and its tangent alike."""

    def __init__(self, kept: KeptValues | None, smooth_pooling: bool):
        super().__init__()
        self._kept, self._smooth_pooling = kept, smooth_pooling

    def __torch_function__(self, function: Any, types: Any, arguments: tuple = (), named: Mapping | None = None) -> Any:
        named = dict(named or {})
        if function in _LINEAR and arguments and isinstance(arguments[0], Tensor):
            return self._linear(function, arguments, named)
        if function is F.batch_norm and arguments:
            return self._normalised(arguments, named)
        if self._smooth_pooling and function in _MAX_POOLING and arguments:
            return _smoothly_pooled(function, arguments, named)
        return function(*arguments, **named)

    def _linear(self, function: Callable, arguments: tuple, named: dict) -> Tensor:
        value, tangent = forward_ad.unpack_dual(arguments[0])
        weights = [*arguments[1:3], named.get("weight"), named.get("bias")]
        if tangent is None or any(isinstance(w, Tensor) and _has_tangent(w) for w in weights):
            return function(*arguments, **named)
        without_bias = {**named, "bias": None} if len(arguments) < 3 else named
        rest = (arguments[1], None, *arguments[3:]) if len(arguments) >= 3 else arguments[1:]
        slope = function(tangent, *rest, **without_bias)
        return self._dual(arguments, lambda: function(value, *arguments[1:], **named), slope)

    def _normalised(self, arguments: tuple, named: dict) -> Tensor:
        names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
        given = dict(zip(names, arguments, strict=False)) | named
        value, tangent = forward_ad.unpack_dual(given["input"])
        if tangent is None or given.get("training") or given.get("running_var") is None:
            return F.batch_norm(*arguments, **named)
        scale = torch.rsqrt(given["running_var"] + given.get("eps", 1e-5))
        scale = scale if given.get("weight") is None else scale * given["weight"]
        shape = (1, -1, *[1] * (value.ndim - 2))
        slope = tangent * scale.to(tangent.dtype).view(shape)
        return self._dual(arguments, lambda: F.batch_norm(**{**given, "input": value}), slope)

    def _dual(self, arguments: tuple, function: Callable[[], Tensor], slope: Tensor) -> Tensor:
        kept = self._kept.of(arguments) if self._kept else None
        return forward_ad.make_dual(function() if kept is None else kept, slope)


def _smoothly_pooled(function: Callable, arguments: tuple, named: dict) -> Tensor:
    value, tangent = forward_ad.unpack_dual(arguments[0])
    names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
    given = dict(zip(names, arguments, strict=False)) | named
    if tangent is None or given.get("dilation", 1) not in (1, (1, 1), [1, 1]):
        return function(*arguments, **named)
    window = {name: given[name] for name in names[1:] if name in given and name != "dilation"}
    size = F.avg_pool2d(value.abs(), **window) + _POOLING_FLOOR
    square = F.avg_pool2d(value.square(), **window)
    slope_of_square = F.avg_pool2d(2 * value * tangent, **window)
    slope_of_size = F.avg_pool2d(value.sign() * tangent, **window)
    slope = slope_of_square / size - square * slope_of_size / size.square()
    return forward_ad.make_dual(function(value, *arguments[1:], **named), slope)


def _has_tangent(tensor: Tensor) -> bool:
    return forward_ad.unpack_dual(tensor).tangent is not None


@cache
def _load_rules() -> None:
    """torch scripts its forward-mode rules when they are first used, and warns that scripting is deprecated."""
    with warnings.catch_warnings(), suppress(ImportError):
        warnings.simplefilter("ignore", FutureWarning)
        importlib.import_module("torch._decomp.decompositions_for_jvp")
