"""Convolutions that also work out the non-linearity behind them, while their output is in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd import Function, forward_ad
from torch.autograd.function import once_differentiable

# A non-linearity as oneDNN has it: name, numbers, variant.
_Ending = tuple[str, list[float], str]
_DTYPES = torch.float32, torch.bfloat16  # which oneDNN convolves


class Joined(nn.Module):
    """Both in one operation, which torch has no derivatives of: back it goes by a rule of our own.

    Where there is none, and in forward mode, one after the other.
    """

    def __init__(self, convolution: nn.Conv2d, non_linearity: nn.Module, ending: _Ending):
        super().__init__()
        self.convolution, self.non_linearity, self._ending = convolution, non_linearity, ending

    def forward(self, x: Tensor) -> Tensor:
        has_tangent = forward_ad.unpack_dual(x).tangent is not None
        goes_back = torch.is_grad_enabled() and (x.requires_grad or self.convolution.weight.requires_grad)
        knows_way = self._ending[0] in _WAYS_BACK and not self.convolution.weight.requires_grad
        if x.dtype not in _DTYPES or has_tangent or (goes_back and not knows_way):
            return self.non_linearity(self.convolution(x))
        if goes_back:
            return _WithWayBack.apply(x, self.convolution, self._ending)
        return _in_one(self.convolution, x, self._ending)


class _WithWayBack(Function):
    """For fixed weights. Torch's own clamp in place keeps a copy of what it clamps; the output says as much."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, convolution: nn.Conv2d, ending: _Ending) -> Tensor:
        output = _in_one(convolution, x, ending)
        ctx.save_for_backward(x, output)
        ctx.convolution, ctx.ending = convolution, ending
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, output = ctx.saved_tensors
        convolution, (name, numbers, _) = ctx.convolution, ctx.ending
        before = _WAYS_BACK[name](gradient, output, *numbers)
        to_input, _, _ = torch.ops.aten.convolution_backward(
            before, x, convolution.weight, None, convolution.stride, convolution.padding,
            convolution.dilation, False, [0, 0], convolution.groups, [True, False, False],
        )  # fmt: skip
        return to_input, None, None


# (gradient, output, numbers) → gradient before the non-linearity: those that can tell it by their output.
_WAYS_BACK: dict[str, Callable[..., Tensor]] = {
    "relu": lambda gradient, output: torch.ops.aten.threshold_backward(gradient, output, 0),
    "hardtanh": torch.ops.aten.hardtanh_backward,
    "leaky_relu": lambda gradient, output, slope: torch.ops.aten.leaky_relu_backward(gradient, output, slope, True),
}


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
        replace_module(module, name, Joined(convolution, non_linearity, ending))
        replace_module(module, next_, nn.Identity())
    return before


def has_joined(module: nn.Module) -> bool:
    return any(isinstance(inner, Joined) for inner in module.modules())


def part(module: nn.Module, is_parted: Callable[[Joined], bool]) -> None:
    """Those go one after the other again."""
    for name, inner in list(module.named_modules()):
        if isinstance(inner, Joined) and is_parted(inner):
            replace_module(module, name, nn.Sequential(inner.convolution, inner.non_linearity))


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
    if kind is nn.LeakyReLU and inner.negative_slope >= 0:  # else the output does not tell which side it came from
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
