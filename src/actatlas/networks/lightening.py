"""A copy of a network for thousands of small passes there and back: nearly the same answers in about half the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d

from actatlas.networks.folding import agree, folded, replace_module

if TYPE_CHECKING:
    from actatlas.networks.network import Network

_LEAST_COSINE = 0.98


def lightened(network: Network, layers: Sequence[str]) -> Network:
    """`folded`, and in bfloat16 on devices that are made for it.

    What does not agree with the network at `layers` is left out. Maps are bfloat16 or float32.
    """
    light = folded(network, layers)
    if not _has_bfloat16(network.device):
        return light
    half = light.converted(torch.bfloat16)
    _go_back_in_float32(half.module)
    return half if agree(light, half, layers, _LEAST_COSINE) else light


def _has_bfloat16(device: torch.device) -> bool:
    """Not asked of Apple's GPUs; a processor without the instructions would do it in float32, with detours."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    names = "avx512_bf16", "amx_bf16", "bf16"
    return device.type == "cpu" and any(torch.cpu.get_capabilities().get(name, False) for name in names)


def _go_back_in_float32(module: nn.Module) -> None:
    """Grouped convolutions with a stride: on processors their way back in bfloat16 takes fifty times as long."""
    for name, inner in list(module.named_modules()):
        if not isinstance(inner, nn.Conv2d) or inner.groups == 1 or max(inner.stride) == 1:
            continue
        if type(inner) is nn.Conv2d and inner.padding_mode == "zeros" and not isinstance(inner.padding, str):
            replace_module(module, name, _BackInFloat32(inner))
        else:
            replace_module(module, name, _InFloat32(inner))


class _InFloat32(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.float()).to(x.dtype)


class _BackInFloat32(nn.Module):
    def __init__(self, inner: nn.Conv2d):
        super().__init__()
        self.inner = inner
        self.weight = nn.Parameter(inner.weight.float(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return _Convolution.apply(x, self.inner, self.weight)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, convolution: nn.Conv2d, weight: Tensor) -> Tensor:
        ctx.convolution, ctx.weight, ctx.shape = convolution, weight, x.shape
        return convolution(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        c, weight = ctx.convolution, ctx.weight
        # Pixels beyond the last stride are seen by no output; their gradient is 0.
        unseen = [
            ctx.shape[2 + i] + 2 * c.padding[i] - c.dilation[i] * (weight.shape[2 + i] - 1) - 1
            - (gradient.shape[2 + i] - 1) * c.stride[i]
            for i in (0, 1)
        ]  # fmt: skip
        found = conv_transpose2d(
            gradient.float(), weight, None, c.stride, c.padding, tuple(unseen), c.groups, c.dilation
        )
        return found.to(gradient.dtype), None, None
