"""A copy of a network for thousands of small passes there and back: nearly the same answers in about half the time."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from actatlas.networks.folding import agree, folded, noise
from actatlas.networks.joining import has_joined, part, replace_module

if TYPE_CHECKING:
    from actatlas.networks.network import Network

_LEAST_COSINE = 0.98
_KEPT = 4  # copies of a network, each for other layers


def lightened(network: Network, layers: Collection[str]) -> Network:
    """`folded`, and in bfloat16 on devices that are made for it.

    What does not agree with the network at `layers` is left out. Maps are bfloat16 or float32. Copies are kept with
    the network until its weights change, for making one takes as long as painting a few icons: run none of them in
    two threads, but what `sharing_weights` makes of them.
    """
    wanted = tuple(sorted(set(layers)))
    kept = network.light_copies.pop(wanted, None)
    if kept is None or not kept[0].are_still_of(network.module):
        kept = Weights(network.module), _made(network, wanted)
    network.light_copies[wanted] = kept
    while len(network.light_copies) > _KEPT:
        network.light_copies.pop(next(iter(network.light_copies)))
    return kept[1]


class Weights:
    """Tensors of a module, and how often each was written to."""

    def __init__(self, module: nn.Module):
        self._tensors = [*module.parameters(), *module.buffers()]
        self._versions = [_version(tensor) for tensor in self._tensors]

    def are_still_of(self, module: nn.Module) -> bool:
        now = Weights(module)
        return self._versions == now._versions and all(map(operator.is_, self._tensors, now._tensors))


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _made(network: Network, layers: Sequence[str]) -> Network:
    light = folded(network, layers)
    if has_joined(light.module) and not _goes_back(light, layers):
        light = folded(network, layers, joins=False)
    if not _has_bfloat16(network.device):
        return light
    half = light.converted(torch.bfloat16)
    _lead_strides_back(half.module)
    return half if agree(light, half, layers, _LEAST_COSINE) else light


def _goes_back(network: Network, layers: Sequence[str]) -> bool:
    """Whether a pass can be differentiated: where code between modules changes what was joined, it cannot."""
    inputs = noise(network).requires_grad_()
    with torch.enable_grad():
        found = torch.stack([maps.float().sum() for maps in network.activations(inputs, layers).values()]).sum()
        try:
            torch.autograd.grad(found, inputs)
        except RuntimeError:
            return False
    return True


def _has_bfloat16(device: torch.device) -> bool:
    """Not asked of Apple's GPUs; a processor without the instructions would do it in float32, with detours."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    names = "avx512_bf16", "amx_bf16", "bf16"
    return device.type == "cpu" and any(torch.cpu.get_capabilities().get(name, False) for name in names)


def _lead_strides_back(module: nn.Module) -> None:
    """Grouped convolutions with a stride: on processors their own way back in bfloat16 takes fifty times as long."""
    part(module, lambda inner: _has_slow_way_back(inner.convolution))
    for name, inner in list(module.named_modules()):
        if not _has_slow_way_back(inner):
            continue
        if type(inner) is nn.Conv2d and inner.padding_mode == "zeros" and _reaches_edges(inner):
            replace_module(module, name, _Strided(inner))
        else:
            replace_module(module, name, _InFloat32(inner))


def _has_slow_way_back(inner: nn.Module) -> TypeGuard[nn.Conv2d]:
    return isinstance(inner, nn.Conv2d) and inner.groups > 1 and max(inner.stride) > 1


def _reaches_edges(convolution: nn.Conv2d) -> bool:
    """No padding that is a word, or wider than the kernel."""
    return not isinstance(convolution.padding, str) and all(
        p <= d * (k - 1)
        for p, d, k in zip(convolution.padding, convolution.dilation, convolution.kernel_size, strict=True)
    )


class _InFloat32(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.float()).to(x.dtype)


class _Strided(nn.Module):
    """Its way back is a convolution too, without stride, over gradients with zeros between them."""

    def __init__(self, inner: nn.Conv2d):
        super().__init__()
        self.inner = inner
        grouped = inner.weight.detach().unflatten(0, (inner.groups, -1))  # (groups, out / groups, in / groups, H, W)
        turned = grouped.transpose(1, 2).flatten(0, 1).flip(2, 3)  # (in, out / groups, H, W)
        self.turned = nn.Parameter(turned.contiguous(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return _StridedConvolution.apply(x, self.inner, self.turned)


class _StridedConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, convolution: nn.Conv2d, turned: Tensor) -> Tensor:
        ctx.convolution, ctx.turned, ctx.shape = convolution, turned, x.shape
        return convolution(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        c, turned = ctx.convolution, ctx.turned
        (down, across), reach = c.stride, [d * (k - 1) for d, k in zip(c.dilation, c.kernel_size, strict=True)]
        size = [ctx.shape[2 + i] + 2 * c.padding[i] - reach[i] for i in (0, 1)]  # without stride it would be so large
        apart = torch.empty(
            (*gradient.shape[:2], *size), dtype=gradient.dtype, device=gradient.device,
            memory_format=torch.channels_last,
        ).zero_()  # fmt: skip
        apart[:, :, ::down, ::across] = gradient
        padding = [reach[i] - c.padding[i] for i in (0, 1)]
        return conv2d(apart, turned, None, 1, padding, c.dilation, c.groups), None, None
