"""A few forward passes of noise tell which layers a network has, in which order, and how far each one sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from actatlas.errors import NetworkError, first_line
from actatlas.networks.fields import Extent, extents
from actatlas.networks.forms import Form, form_of, from_maps, to_maps
from actatlas.networks.recommending import Candidate, recommend, spread
from actatlas.networks.running import plain_paths, watched
from actatlas.preprocessing import Preprocessing
from actatlas.values import LayerInfo

# Two images, so that an output's first dimension can be told from a batch of windows or heads.
_BATCH = 2


@dataclass(frozen=True)
class Probe:
    """What a network is like at its native input size.

    layers: that can make an atlas, in forward order; forms: of each, by name
    spread: names of up to a dozen of them, over the whole depth
    unusable: name → what its output is instead; changed: names whose output is changed in place later
    call_counts: module name → calls in one pass
    class_count: logits of one image; None where the output is not (B, classes)
    takes_channels_last: the network runs on inputs in that memory format (one that uses `view` may not)
    """

    layers: list[LayerInfo]
    spread: list[str]
    forms: Mapping[str, Form]
    unusable: Mapping[str, str]
    changed: frozenset[str]
    call_counts: Mapping[str, int]
    class_count: int | None
    is_fixed_size: bool
    takes_channels_last: bool


@dataclass
class _Seen:
    """One call of one module. centre: (B, C), what the layer says at its central position, where it has a form."""

    name: str
    call: int
    type_name: str
    output: Any
    version: int
    form: Form | None
    is_rectified: bool
    centre: Tensor | None


def probe(module: nn.Module, preprocessing: Preprocessing, device: torch.device, recommended: Sequence[str]) -> Probe:
    """Raises NetworkError if the network cannot take an input of the size that its preprocessing gives."""
    height, width = preprocessing.input_px
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(_BATCH, preprocessing.channel_count, height, width, generator=generator).to(device)
    # Tensors made in inference mode do not count their changes.
    with torch.inference_mode(False), torch.no_grad(), plain_paths():
        seen, output, takes_channels_last = _first_run(module, noise)
        noise = noise.contiguous(memory_format=torch.channels_last) if takes_channels_last else noise
        far_seeing = _far_seeing(module, noise, seen)
        fields = extents(module, noise)
        counts = Counter(one.name for one in seen)
        names = [one.name if counts[one.name] == 1 else f"{one.name}#{one.call + 1}" for one in seen]
        unusable = _unusable(names, seen, (height, width))
        changed = frozenset(n for n, one in zip(names, seen, strict=True) if _is_changed(one) and n not in unusable)
        forms = {n: one.form for n, one in zip(names, seen, strict=True) if one.form and n not in unusable}
        class_count = output.shape[1] if isinstance(output, Tensor) and output.ndim == 2 else None
        candidates = [
            Candidate(
                _info(name, one, preprocessing.input_px, fields.get((one.name, one.call)), far_seeing),
                one.is_rectified,
                id(one.output),
            )
            for name, one in zip(names, seen, strict=True)
            if name in forms and name not in changed
        ]

        def has_effect(layer: LayerInfo) -> bool:
            form = forms[layer.name]
            return class_count is None or form.prefix_count == 0 or _moves(module, noise, layer.name, form, output)

        chosen = set(recommended) or recommend(candidates, has_effect)
        layers = [replace(c.layer, recommended=c.layer.name in chosen) for c in candidates]
        is_fixed_size = _is_fixed_size(module, noise)
    return Probe(
        layers, spread(candidates), forms, unusable, changed, counts, class_count, is_fixed_size, takes_channels_last
    )


def _first_run(module: nn.Module, noise: Tensor) -> tuple[list[_Seen], Any, bool]:
    """What was seen, the network's output, and whether it took an input in channels_last."""
    try:
        return *_run(module, noise.contiguous(memory_format=torch.channels_last)), True
    except Exception:  # a network may raise anything; in the usual format it will say what is wrong
        pass
    try:
        return *_run(module, noise), False
    except NetworkError:  # of outputs=, which says what is wrong
        raise
    except Exception as error:
        channels, height, width = noise.shape[1:]
        raise NetworkError(
            f"the network cannot take {channels} × {height} × {width} pixels ({first_line(error)}); "
            "give the preprocessing that it was trained with"
        ) from error


def _run(module: nn.Module, noise: Tensor) -> tuple[list[_Seen], Any]:
    seen: list[_Seen] = []
    counts: Counter = Counter()
    input_px = (noise.shape[2], noise.shape[3])
    prefix_counts = (getattr(inner, "num_prefix_tokens", None) for inner in module.modules())
    prefix_count = next((count for count in prefix_counts if isinstance(count, int)), None)

    def hook_for(name: str):
        def hook(inner: nn.Module, _inputs: Any, output: Any) -> None:
            form, is_rectified, centre = None, False, None
            if isinstance(output, Tensor) and output.is_floating_point() and output.shape[:1] == (_BATCH,):
                form = form_of(tuple(output.shape), input_px, prefix_count)
            if form is not None and output.numel():
                # Of a block whose last weights begin as zeros, everything is zero, and says nothing.
                is_rectified = bool((output >= 0).all()) and bool((output == 0).any()) and bool((output > 0).any())
                maps = to_maps(output, form)
                centre = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].clone()
            version = output._version if isinstance(output, Tensor) else 0
            seen.append(_Seen(name, counts[name], type(inner).__name__, output, version, form, is_rectified, centre))
            counts[name] += 1

        return hook

    handles = [inner.register_forward_hook(hook_for(name)) for name, inner in module.named_modules() if name]
    try:
        output = module(noise.clone())
    finally:
        for handle in handles:
            handle.remove()
    return seen, output


def _is_changed(one: _Seen) -> bool:
    return isinstance(one.output, Tensor) and one.output._version != one.version


def _unusable(names: Sequence[str], seen: Sequence[_Seen], input_px: tuple[int, int]) -> dict[str, str]:
    """Name → what the output is, of calls that cannot make an atlas."""
    token_counts = {one.output.shape[1] for one in seen if one.form and one.form.kind == "tokens"}
    found = {}
    for name, one in zip(names, seen, strict=True):
        if not isinstance(one.output, Tensor):
            found[name] = f"a {type(one.output).__name__}"
        elif one.form is None:
            found[name] = f"an output of shape {tuple(one.output.shape)}"
        elif one.form.kind == "maps" and one.output.shape[2] in token_counts:
            rows, columns = one.form.size
            # (B, heads, tokens, channels of a head) is no map.
            if rows * input_px[1] != columns * input_px[0]:
                found[name] = f"an output of shape {tuple(one.output.shape)}, one for each attention head"
    return found


def _far_seeing(module: nn.Module, noise: Tensor, seen: Sequence[_Seen]) -> set[tuple[str, int]]:
    """Calls whose central position answers to a far corner of the input, whatever theory says.

    Theory knows convolutions, pools and attention; mixers over tokens, Fourier layers and gates are found this way.
    """
    corner = noise.clone()
    height, width = (-(-side // 8) for side in noise.shape[2:])
    corner[:, :, :height, :width] = 3 - corner[:, :, :height, :width]
    again, _ = _run(module, corner)
    found = set()
    for one, other in zip(seen, again, strict=False):
        if one.centre is not None and other.centre is not None and one.centre.shape == other.centre.shape:
            difference = (one.centre - other.centre).abs().max()
            if difference > 1e-4 * one.centre.abs().max():
                found.add((one.name, one.call))
    return found


def _info(
    name: str, one: _Seen, input_px: tuple[int, int], extent: Extent | None, far_seeing: set[tuple[str, int]]
) -> LayerInfo:
    assert one.form is not None
    channel_count = one.output.shape[1 if one.form.kind == "maps" and not one.form.is_channels_last else -1]
    whole_px = max(input_px)
    if one.form.kind == "vectors" or extent is None:
        field_px: float = whole_px
    else:
        field_px = extent.size_px
        # From the central position to the changed corner, on both sides, less what rounding may hide.
        reach_px = 2 * (min(input_px) // 2 - -(-min(input_px) // 8)) - 2 * extent.jump_px
        if (one.name, one.call) in far_seeing and field_px < reach_px:
            field_px = whole_px
    shape = (channel_count, *one.form.size)
    stride = _stride(one.form, input_px, extent)
    return LayerInfo(name, one.type_name, shape, one.form.kind, stride, round(field_px))


def _stride(form: Form, input_px: tuple[int, int], extent: Extent | None) -> int:
    """By theory where the size of the map agrees with it (260 / 17 positions are 16 px apart), else by division."""
    if extent is not None and form.kind != "vectors" and abs(input_px[0] / extent.jump_px - form.size[0]) < 2:
        return max(round(extent.jump_px), 1)
    return max(round(input_px[0] / form.size[0]), 1)


def _moves(module: nn.Module, noise: Tensor, name: str, form: Form, logits: Tensor) -> bool:
    """Whether the logits depend on the layer's positions."""

    def without(_layer: str, output: Tensor) -> Tensor:
        return from_maps(torch.zeros_like(to_maps(output, form)), output, form)

    with watched(module, [name], without):
        return not torch.allclose(module(noise.clone()), logits, rtol=1e-4, atol=1e-6 * float(logits.abs().max()))


def _is_fixed_size(module: nn.Module, noise: Tensor) -> bool:
    """Whether it refuses a smaller input: 80 px, an icon's, or five eighths of a small one."""
    height, width = (80 if side > 80 else side * 5 // 8 for side in noise.shape[2:])
    try:
        module(noise[:, :, :height, :width].clone())
    except Exception:  # a network may raise anything
        return True
    return False
