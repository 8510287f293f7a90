"""Convolutions that also work out the non-linearity behind them, while their output is in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

# A non-linearity as oneDNN has it: name, numbers, variant.
_Ending = tuple[str, list[float], str]
_DTYPES = torch.float32, torch.bfloat16  # which oneDNN convolves


class _Joined(nn.Module):
    """Both in one operation; one after the other where the pass is differentiated, for that operation has no rules."""

    def __init__(self, convolution: nn.Conv2d, non_linearity: nn.Module, ending: _Ending):
        super().__init__()
        self.convolution, self.non_linearity, self._ending = convolution, non_linearity, ending

    def forward(self, x: Tensor) -> Tensor:
        is_differentiated = torch.is_grad_enabled() or forward_ad.unpack_dual(x).tangent is not None
        if is_differentiated or x.dtype not in _DTYPES:
            return self.non_linearity(self.convolution(x))
        return _in_one(self.convolution, x, self._ending)


def join_all(module: nn.Module, pairs: Sequence[tuple[str, str]]) -> dict[str, nn.Module]:
    """Of the pairs (convolution, non-linearity), those that oneDNN can do in one. Names → modules as they were before.

    The non-linearity's name stays, for it may be a layer; what it gives is the same.
    """
    before: dict[str, nn.Module] = {}
    for name, next_ in pairs if _is_here() else ():
        convolution, non_linearity = module.get_submodule(name), module.get_submodule(next_)
        ending = _ending(non_linearity)
        if ending is None or not _can_be_joined(convolution):
            continue
        before |= {name: convolution, next_: non_linearity}
        replace_module(module, name, _Joined(convolution, non_linearity, ending))
        replace_module(module, next_, nn.Identity())
    return before


def replace_module(module: nn.Module, name: str, other: nn.Module) -> None:
    parent, _, own_name = name.rpartition(".")
    setattr(module.get_submodule(parent), own_name, other)


def _can_be_joined(inner: nn.Module) -> TypeGuard[nn.Conv2d]:
    return type(inner) is nn.Conv2d and inner.padding_mode == "zeros" and not isinstance(inner.padding, str)


def _ending(inner: Any) -> _Ending | None:
    """Of the very types, for a class derived from them may do anything else."""
    kind = type(inner)
    if kind in (nn.ReLU6, nn.Hardtanh):
        return "hardtanh", [float(inner.min_val), float(inner.max_val)], ""
    if kind is nn.LeakyReLU:
        return "leaky_relu", [float(inner.negative_slope)], ""
    names = {nn.ReLU: "relu", nn.SiLU: "swish", nn.Hardswish: "hardswish"}
    return (names[kind], [], "") if kind in names else None


def _in_one(convolution: Any, x: Tensor, ending: _Ending) -> Tensor:
    # What torch.compile uses; torch has no public name for it, hence the question in _is_here.
    return torch.ops.mkldnn._convolution_pointwise(
        x, convolution.weight, convolution.bias, convolution.padding, convolution.stride, convolution.dilation,
        convolution.groups, *ending,
    )  # fmt: skip


@cache
def _is_here() -> bool:
    """Whether this build of torch has the operation, and it does what it says."""
    if not torch.backends.mkldnn.is_available():
        return False
    convolution, x = nn.Conv2d(1, 1, 1, bias=False), torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    with torch.no_grad():
        convolution.weight.fill_(1.0)
        try:
            found = _in_one(convolution, x, ("hardtanh", [0.0, 0.5], ""))
        except (AttributeError, RuntimeError):  # another torch may not have it, or take other arguments
            return False
    return torch.allclose(found, x.clamp(0.0, 0.5))
