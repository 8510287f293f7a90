"""The same function with less work: convolutions normalise and pad, and non-linearities need no memory of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.fusion import fuse_conv_bn_weights

from actatlas.networks.joining import join_all, replace_module

if TYPE_CHECKING:
    from actatlas.networks.network import Network

_LEAST_COSINE = 0.99999


def folded(network: Network, layers: Sequence[str], joins: bool = True) -> Network:
    """A float32 copy with its batch normalisations folded, or `network` itself where that cannot be done.

    A pair is folded if the normalisation takes the very tensor that the convolution gave, each is called once, and the
    convolution is not one of `layers`. A non-linearity that takes what either gave changes that in place, or is worked
    out by the convolution itself (joining.py). Nobody sees whether code between modules uses those tensors as well, so
    both are kept only if `layers` and logits agree with the network's. It takes half to two thirds of the time.

    joins: False for passes in forward mode, which can use again what a convolution gave
    """
    wanted = {layer.partition("#")[0] for layer in layers}
    seen = _watch(network.module, noise(network))
    follows = [pair for pair in seen.follows if pair[0] not in wanted]
    inside = network.module.get_submodule
    pairs = [(one, next_) for one, next_ in follows if isinstance(inside(one), nn.Conv2d) and _is_norm(inside(next_))]
    if not pairs:
        return network
    copy = network.converted(torch.float32)
    for convolution, norm in pairs:
        _fold(copy.module, convolution, norm)
    _let_convolutions_pad(copy.module, wanted, seen.idle)
    takers: list[Any] = [copy.module.get_submodule(next_) for _, next_ in follows]
    in_place = [inner for inner in takers if getattr(inner, "inplace", None) is False]
    for inner in in_place:
        inner.inplace = True
    chains = _chains(follows, pairs) if joins and network.device.type == "cpu" else []
    replaced = join_all(copy.module, chains)
    if agree(network, copy, layers, _LEAST_COSINE, with_logits=True):
        return copy
    for name, inner in replaced.items():
        replace_module(copy.module, name, inner)
    for inner in in_place:
        inner.inplace = False
    is_other = in_place or replaced
    return copy if is_other and agree(network, copy, layers, _LEAST_COSINE, with_logits=True) else network


def _chains(follows: list[tuple[str, str]], pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(what folds, what follows): a convolution and what takes its output, past a normalisation that is folded."""
    convolution_of = {norm: convolution for convolution, norm in pairs}
    return [(convolution_of.get(one, one), next_) for one, next_ in follows if next_ not in convolution_of]


def agree(
    network: Network, copy: Network, layers: Sequence[str], least_cosine: float, with_logits: bool = False
) -> bool:
    """Whether `layers`, and logits if asked for and there are any, are nearly the same for one input of noise."""
    inputs = noise(network)
    with torch.no_grad():
        if network.class_count is None or not with_logits:
            one, other = network.activations(inputs, layers), copy.activations(inputs, layers)
        else:
            one, other = (_maps_and_logits(each, inputs, layers) for each in (network, copy))
    return all(_cosine(one[name], other[name]) >= least_cosine for name in one)


def noise(network: Network) -> Tensor:
    """(1, channels, H, W), normalised."""
    shape = (1, network.preprocessing.channel_count, *network.preprocessing.input_px)
    return network.normalize(torch.rand(shape, generator=torch.Generator().manual_seed(0)))


@dataclass(frozen=True)
class _Seen:
    """follows: names of (convolution or normalisation, module that takes the very tensor which that gave), each called
        once. The second is a convolution, a normalisation, or a non-linearity that could work in place or does
    idle: names of modules that gave the very tensor which they took
    """

    follows: list[tuple[str, str]]
    idle: set[str]


def _watch(module: nn.Module, inputs: Tensor) -> _Seen:
    """One pass."""
    given: list[tuple[str, Tensor]] = []  # the last one
    follows: list[tuple[str, str]] = []
    idle: set[str] = set()
    counts: Counter[str] = Counter()

    def takes(name: str):
        def hook(_module: nn.Module, arguments: Any) -> None:
            counts[name] += 1
            follows.extend((giver, name) for giver, output in given if arguments and output is arguments[0])

        return hook

    def gives(name: str):
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            given[:] = [(name, output)]

        return hook

    def idles(name: str):
        def hook(_module: nn.Module, arguments: Any, output: Any) -> None:
            if arguments and output is arguments[0]:
                idle.add(name)

        return hook

    handles = []
    for name, inner in module.named_modules():
        is_giver = isinstance(inner, nn.Conv2d) or _is_norm(inner)
        has_place = hasattr(inner, "inplace")
        if is_giver:
            handles.append(inner.register_forward_hook(gives(name)))
        elif not has_place:
            handles.append(inner.register_forward_hook(idles(name)))
        if is_giver or has_place:
            handles.append(inner.register_forward_pre_hook(takes(name)))
    try:
        with torch.no_grad():
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return _Seen([(one, next_) for one, next_ in follows if counts[one] == counts[next_] == 1], idle)


def _is_norm(inner: nn.Module) -> bool:
    return type(inner) is nn.BatchNorm2d and inner.running_mean is not None


def _fold(module: nn.Module, convolution_name: str, norm_name: str) -> None:
    convolution, norm = module.get_submodule(convolution_name), module.get_submodule(norm_name)
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None and norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    convolution.weight = nn.Parameter(weight.detach(), requires_grad=False)
    convolution.bias = nn.Parameter(bias.detach(), requires_grad=False)
    # The name stays, for it may be a layer; what it gives is the normalised output as before.
    replace_module(module, norm_name, nn.Identity())


def _let_convolutions_pad(module: nn.Module, wanted: set[str], idle: set[str]) -> None:
    """A convolution with a module of its own for padding by zeros: a copy of its input at every call, spared.

    One whose own module is idle becomes a plain one.
    """
    for name, inner in list(module.named_modules()):
        children = list(inner.named_children())
        if not isinstance(inner, nn.Conv2d) or len(children) != 1 or f"{name}.{children[0][0]}" in wanted:
            continue
        own_name, padding = children[0]
        if f"{name}.{own_name}" in idle and inner.padding_mode == "zeros":
            replace_module(module, name, _plain(inner, inner.weight, inner.padding))
        elif isinstance(padding, nn.ZeroPad2d) and inner.padding in (0, (0, 0), [0, 0]):
            plain = _padding_itself(inner, padding.padding)
            replace_module(module, name, plain or nn.Sequential(padding, _plain(inner, inner.weight, (0, 0))))


def _padding_itself(convolution: nn.Conv2d, padding: tuple[int, int, int, int]) -> nn.Conv2d | None:
    """Where one side has one more row of zeros than the other, a row of zeros in the kernel makes up for it."""
    left, right, top, bottom = padding
    wider, higher = right - left, bottom - top
    if min(padding) < 0 or max(abs(wider), abs(higher)) > 1 or _pair(convolution.dilation) != (1, 1):
        return None
    zeros = max(wider, 0), max(-wider, 0), max(higher, 0), max(-higher, 0)
    return _plain(convolution, pad(convolution.weight, zeros), (max(top, bottom), max(left, right)))


def _plain(convolution: nn.Conv2d, weight: Tensor, padding: Any) -> nn.Conv2d:
    plain = nn.Conv2d(
        convolution.in_channels, convolution.out_channels, _pair(weight.shape[2:]), _pair(convolution.stride), padding,
        _pair(convolution.dilation), convolution.groups, bias=convolution.bias is not None, device="meta",
    )  # fmt: skip
    plain.weight, plain.bias = nn.Parameter(weight.detach(), requires_grad=False), convolution.bias
    return plain.eval()


def _pair(numbers: Sequence[int]) -> tuple[int, int]:
    down, across = numbers
    return down, across


def _maps_and_logits(network: Network, inputs: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    recording = network.record(inputs, layers)
    assert recording.logits is not None
    return {**recording.maps, "logits": recording.logits}


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.double().flatten(), other.double().flatten(), dim=0))
