"""InceptionV1 as Lucid has it (Szegedy et al. 2014, "inception5h"): the network of the Activation Atlas article.

Layers have Lucid's names, parameters those of the state dict that was made from its graph for PyTorch. What the ports
differ in follows the graph: SAME padding as TensorFlow does it, at any input size, and local response normalisation
with radius 5, bias 2, alpha 1e-4, beta 0.5.
"""

from __future__ import annotations

import math
from importlib.resources import files
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from actatlas.errors import UnknownNetwork
from actatlas.networks.checkpoints import load_checkpoint
from actatlas.networks.fetching import seeded
from actatlas.networks.imagenet import imagenet_labels
from actatlas.networks.network import Network
from actatlas.networks.options import apply_options, read_options
from actatlas.preprocessing import Preprocessing

NAME = "inceptionv1"
LOGIT_COUNT = 1008
_RECOMMENDED = ("mixed3b", "mixed4a", "mixed4c", "mixed4d", "mixed5a", "mixed5b")
# Lucid's inputs are 0 … 255 less 117.
_MEAN, _STD = 117 / 255, 1 / 255


class _Mixed(NamedTuple):
    """Channels of one mixed block: in, and what each branch's convolutions give."""

    incoming: int
    one: int
    three_bottleneck: int
    three: int
    five_bottleneck: int
    five: int
    pool_reduce: int

    @property
    def outgoing(self) -> int:
        return self.one + self.three + self.five + self.pool_reduce


MIXED = {
    "mixed3a": _Mixed(192, 64, 96, 128, 16, 32, 32),
    "mixed3b": _Mixed(256, 128, 128, 192, 32, 96, 64),
    "mixed4a": _Mixed(480, 192, 96, 204, 16, 48, 64),
    "mixed4b": _Mixed(508, 160, 112, 224, 24, 64, 64),
    "mixed4c": _Mixed(512, 128, 128, 256, 24, 64, 64),
    "mixed4d": _Mixed(512, 112, 144, 288, 32, 64, 64),
    "mixed4e": _Mixed(528, 256, 160, 320, 32, 128, 128),
    "mixed5a": _Mixed(832, 256, 160, 320, 48, 128, 128),
    "mixed5b": _Mixed(832, 384, 192, 384, 48, 128, 128),
}
_POOL_BEFORE = {"mixed4a": "maxpool4", "mixed5a": "maxpool10"}


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME: where the padding is odd, the right and the lower edge get more."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(_padded(inputs, self.kernel_size[0], self.stride[0]))


class SameMaxPool2d(nn.Module):
    """3 × 3, padded likewise; what it takes is never negative, so that zeros never are the maximum."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, inputs: Tensor) -> Tensor:
        return F.max_pool2d(_padded(inputs, 3, self.stride), 3, self.stride)


class Normalisation(nn.LocalResponseNorm):
    """In float32, whatever the rest computes in: PyTorch has no other on a processor."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.float()).to(inputs.dtype)


class Concatenation(nn.Module):
    def forward(self, *branches: Tensor) -> Tensor:
        return torch.cat(branches, dim=1)


class InceptionV1(nn.Module):
    """(B, 3, h, w), pixels in 0 … 255 less 117 → logits (B, 1008), before the softmax of Lucid's `softmax2`."""

    def __init__(self) -> None:
        super().__init__()
        self._add_convolution("conv2d0", 3, 64, 7, 2)
        self.maxpool0 = SameMaxPool2d(2)
        self.localresponsenorm0 = _normalisation()
        self._add_convolution("conv2d1", 64, 64, 1)
        self._add_convolution("conv2d2", 64, 192, 3)
        self.localresponsenorm1 = _normalisation()
        self.maxpool1 = SameMaxPool2d(2)
        for name, mixed in MIXED.items():
            if name in _POOL_BEFORE:
                self.add_module(_POOL_BEFORE[name], SameMaxPool2d(2))
            self._add_mixed(name, mixed)
        self.avgpool0 = nn.AdaptiveAvgPool2d(1)
        self.softmax2_pre_activation_matmul = nn.Linear(1024, LOGIT_COUNT)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.localresponsenorm0(self.maxpool0(self._convolved("conv2d0", inputs)))
        x = self._convolved("conv2d2", self._convolved("conv2d1", x))
        x = self.maxpool1(self.localresponsenorm1(x))
        for name in MIXED:
            if name in _POOL_BEFORE:
                x = self.get_submodule(_POOL_BEFORE[name])(x)
            x = self._mixed(name, x)
        return self.softmax2_pre_activation_matmul(self.avgpool0(x).flatten(1))

    def _add_convolution(self, name: str, incoming: int, outgoing: int, kernel: int, stride: int = 1) -> None:
        self.add_module(f"{name}_pre_relu_conv", SameConv2d(incoming, outgoing, kernel, stride))
        self.add_module(name, nn.ReLU())

    def _add_mixed(self, name: str, mixed: _Mixed) -> None:
        self._add_convolution(f"{name}_1x1", mixed.incoming, mixed.one, 1)
        self._add_convolution(f"{name}_3x3_bottleneck", mixed.incoming, mixed.three_bottleneck, 1)
        self._add_convolution(f"{name}_3x3", mixed.three_bottleneck, mixed.three, 3)
        self._add_convolution(f"{name}_5x5_bottleneck", mixed.incoming, mixed.five_bottleneck, 1)
        self._add_convolution(f"{name}_5x5", mixed.five_bottleneck, mixed.five, 5)
        self.add_module(f"{name}_pool", SameMaxPool2d(1))
        self._add_convolution(f"{name}_pool_reduce", mixed.incoming, mixed.pool_reduce, 1)
        self.add_module(name, Concatenation())

    def _convolved(self, name: str, x: Tensor) -> Tensor:
        return self.get_submodule(name)(self.get_submodule(f"{name}_pre_relu_conv")(x))

    def _mixed(self, name: str, x: Tensor) -> Tensor:
        one = self._convolved(f"{name}_1x1", x)
        three = self._convolved(f"{name}_3x3", self._convolved(f"{name}_3x3_bottleneck", x))
        five = self._convolved(f"{name}_5x5", self._convolved(f"{name}_5x5_bottleneck", x))
        pooled = self._convolved(f"{name}_pool_reduce", self.get_submodule(f"{name}_pool")(x))
        return self.get_submodule(name)(one, three, five, pooled)


def load_lucid(text: str) -> Network:
    """lucid:inceptionv1[?checkpoint=FILE]. Raises UnknownNetwork, BadWeights."""
    options = read_options("lucid", text, ("checkpoint",))
    if options.name.lower() != NAME:
        raise UnknownNetwork(f"there is no lucid:{options.name}; write lucid:{NAME}?checkpoint=FILE", spec=options.spec)
    with seeded(None if options.checkpoint else options.spec):
        module = InceptionV1()
    if options.checkpoint:
        load_checkpoint(module, options.checkpoint, options.spec)
    preprocessing = Preprocessing((224, 224), 256, "bilinear", (_MEAN,) * 3, (_STD,) * 3)
    network = Network(module, preprocessing, lucid_labels(), options.spec, _RECOMMENDED)
    return apply_options(network, options)


def lucid_labels() -> list[str]:
    """1,008 names: from logit 1 on the classes in the order of the 2012 challenge; no others were trained for."""
    order = files("actatlas.networks").joinpath("old_imagenet_order.txt").read_text(encoding="ascii").split()
    names = imagenet_labels()
    ours = [names[int(index)] for index in order]
    return ["unused 0", *ours, *(f"unused {index}" for index in range(len(ours) + 1, LOGIT_COUNT))]


def _normalisation() -> nn.LocalResponseNorm:
    # TensorFlow adds up the 2 · radius + 1 squares, PyTorch takes their mean.
    size = 2 * 5 + 1
    return Normalisation(size, alpha=1e-4 * size, beta=0.5, k=2.0)


def _padded(inputs: Tensor, kernel: int, stride: int) -> Tensor:
    height, width = (_padding(side, kernel, stride) for side in inputs.shape[2:])
    if height == width == 0:
        return inputs
    return F.pad(inputs, (width // 2, width - width // 2, height // 2, height - height // 2))


def _padding(side: int, kernel: int, stride: int) -> int:
    return max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
