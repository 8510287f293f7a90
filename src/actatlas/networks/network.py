"""What the rest of actatlas knows of a network."""

from __future__ import annotations

import copy
import difflib
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from actatlas.bands import Bands
from actatlas.errors import (
    AmbiguousLayer,
    BadLabels,
    ChangedInPlace,
    LayerNotFound,
    NetworkError,
    UnusableLayer,
    first_line,
)
from actatlas.networks.forms import Form, from_maps, to_maps
from actatlas.networks.precision import resolve_precision
from actatlas.networks.probing import Probe, probe
from actatlas.networks.recording import Recording, Way, record
from actatlas.networks.running import forward, plain_paths, vet, watched
from actatlas.preprocessing import Preprocessing, upright_rgb
from actatlas.values import LayerInfo, Precision

if TYPE_CHECKING:
    from actatlas.networks.lightening import Weights


class Network:
    """A module in eval mode, its preprocessing, labels, class count and layers.

    spec: what names it; shown, and stored in the atlas
    module: as given, in eval mode, parameters without gradients; `module.get_submodule(name)`'s output is a layer
    labels: class names in the order of the logits, or None
    has_logits: False where an output (B, n) holds features, not classes
    recommended: layers that the maker of the network recommends; empty lets actatlas choose
    loaded_by: the spec and device that lead to it in any process; None for what was given as an object
    light_copies: {layers: (the weights then, copy)}, see `lightened`
    """

    def __init__(
        self,
        module: nn.Module,
        preprocessing: Preprocessing,
        labels: Sequence[str] | None = None,
        spec: str = "",
        recommended: Sequence[str] = (),
        has_logits: bool = True,
    ):
        self.module = module.eval().requires_grad_(False)
        self.preprocessing = preprocessing
        self.labels = list(labels) if labels is not None else None
        self.spec = spec or f"python:{type(module).__name__}"
        self.dtype = torch.float32
        self.loaded_by: tuple[str, str] | None = None
        self.light_copies: dict[tuple[str, ...], tuple[Weights, Network]] = {}
        self._recommended = tuple(recommended)
        self._has_logits = has_logits
        self._vetted: set[str] = set()
        self._replay_ways: dict[str, Way] = {}

    # --- pixels

    def pixels(self, image: Image.Image | Bands) -> Tensor:
        """(channels, H, W) float32 in [0, 1]: oriented, converted, resized, cropped."""
        photo = image if isinstance(image, Bands) else upright_rgb(image)
        crop = np.asarray(self.preprocessing.crop(photo), np.float32)
        crop = crop[:, :, None] if crop.ndim == 2 else crop
        return torch.from_numpy(crop / 255).permute(2, 0, 1).contiguous()

    def normalize(self, pixels: Tensor) -> Tensor:
        """(B, channels, h, w) of any size in [0, 1] → what `module` takes; differentiable."""
        pixels = pixels.to(self.device)
        mean = torch.tensor(self.preprocessing.mean, dtype=pixels.dtype, device=pixels.device)
        std = torch.tensor(self.preprocessing.std, dtype=pixels.dtype, device=pixels.device)
        if pixels.is_contiguous() or not pixels.is_contiguous(memory_format=torch.channels_last):
            return (pixels - mean[:, None, None]) / std[:, None, None]
        # By rows, as they lie in memory: a broadcast over three numbers at a time takes eight times as long.
        width = pixels.shape[3]
        rows = pixels.permute(0, 2, 3, 1).flatten(2)  # (B, h, w · channels)
        rows = (rows - mean.repeat(width)) / std.repeat(width)
        return rows.unflatten(2, (width, -1)).permute(0, 3, 1, 2)

    def fit(self, pixels: Tensor) -> Tensor:
        """Pixels as they are; where the network's input is fixed, centred on the mean colour at that size."""
        height, width = self.preprocessing.input_px
        if not self.is_fixed_size or tuple(pixels.shape[2:]) == (height, width):
            return pixels
        top, left = (height - pixels.shape[2]) // 2, (width - pixels.shape[3]) // 2
        mean = torch.tensor(self.preprocessing.mean, dtype=pixels.dtype, device=pixels.device).clamp(0, 1)
        ground = mean[None, :, None, None].expand(len(pixels), -1, height, width)
        padding = (left, width - pixels.shape[3] - left, top, height - pixels.shape[2] - top)
        inside = nn.functional.pad(torch.ones_like(pixels), padding)
        return nn.functional.pad(pixels, padding) + ground * (1 - inside)

    # --- what it is

    @property
    def device(self) -> torch.device:
        parameter = next(self.module.parameters(), None)
        return parameter.device if parameter is not None else torch.device("cpu")

    @cached_property
    def _probe(self) -> Probe:
        found = probe(self.module, self.preprocessing, self.device, self._recommended)
        if not self._has_logits:
            found = replace(found, class_count=None)
        elif self.labels is not None and found.class_count is None:
            raise BadLabels(
                f"{self.spec} gives no logits (B, classes), so its {len(self.labels)} labels have nothing to name; "
                "leave them out, or load it with outputs=, a function from what it gives to (B, K)"
            )
        if self.labels is not None and found.class_count is not None and len(self.labels) != found.class_count:
            raise NetworkError(
                f"{self.spec} has {found.class_count} logits but {len(self.labels)} labels; give as many, or none",
                spec=self.spec,
            )
        return found

    @property
    def class_count(self) -> int | None:
        """Logits of one image; None for a network whose output is not (B, classes)."""
        return self._probe.class_count

    @property
    def is_fixed_size(self) -> bool:
        """It takes no other input size than its own."""
        return self._probe.is_fixed_size

    @cached_property
    def weights_sha256(self) -> str:
        """Of the names, shapes and bytes of the state dict."""
        digest = hashlib.sha256()
        for name, value in self.module.state_dict().items():
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @property
    def layers(self) -> list[LayerInfo]:
        """All layers that can make an atlas, in forward order."""
        return self._probe.layers

    @property
    def spread_layers(self) -> list[str]:
        """Up to a dozen layers from the first to the last: what they answer says what an input looks like."""
        return self._probe.spread

    def layer(self, name: str) -> LayerInfo:
        """Raises LayerNotFound, AmbiguousLayer (called more than once, no #), UnusableLayer."""
        known = {layer.name: layer for layer in self.layers}
        if name in known:
            return known[name]
        base, _, call = name.partition("#")
        calls = self._probe.call_counts
        if calls.get(base, 0) > 1 and not call:
            raise AmbiguousLayer(name, calls[base])
        if call == "1" and calls.get(base) == 1:
            return self.layer(base)
        if name in self._probe.changed:
            raise ChangedInPlace(name)
        if name in self._probe.unusable:
            raise UnusableLayer(
                f'layer "{name}" of {self.spec} gives {self._probe.unusable[name]}; an atlas needs '
                f"(B, C, H, W), (B, T, C) or (B, C): actatlas layers {self.spec}",
                layer=name,
            )
        raise LayerNotFound(name, self.spec, difflib.get_close_matches(name, list(known), n=3, cutoff=0.4))

    # --- running it

    def activations(
        self,
        inputs: Tensor,
        layers: Sequence[str],
        changes: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    ) -> dict[str, Tensor]:
        """{layer: maps (B, C, H, W)} of normalised inputs. Stops after the last wanted layer; differentiable.

        changes: {layer, one of these: its maps → the maps that the layers after it get to see}
        Raises LayerNotReached, ChangedInPlace.
        """
        inputs = self._ready(inputs, layers)
        outputs = forward(self.module, inputs, layers, self._made(changes))
        return {name: to_maps(outputs[name], self._form(name)) for name in layers}

    def logits(self, inputs: Tensor, changes: Mapping[str, Callable[[Tensor], Tensor]] | None = None) -> Tensor:
        """(B, classes) of normalised inputs; differentiable. Raises NetworkError for a network without logits.

        changes: {layer: its maps → the maps that the layers after it get to see}
        """
        self.require_logits()
        made = self._made(changes)
        inputs = self._ready(inputs, list(made))
        if not made:
            return self.module(inputs)
        with plain_paths(), watched(self.module, list(made), lambda layer, output: made[layer](output)):
            return self.module(inputs)

    def require_logits(self) -> int:
        """How many there are. Raises NetworkError where there are none."""
        if self.class_count is None:
            raise NetworkError(
                f"{self.spec} gives no logits (B, classes), so it takes nothing for anything; "
                "load it with outputs=, a function to (B, K) that stands in for them",
                spec=self.spec,
            )
        return self.class_count

    def record(self, inputs: Tensor, layers: Sequence[str], for_derivatives: bool = False) -> Recording:
        """The whole forward pass, so that the part behind each of `layers` can be run again alone.

        for_derivatives: makes `Recording.derivative` a third cheaper, at the price of memory
        """
        inputs = self._ready(inputs, layers)
        forms = {name: self._form(name) for name in layers}
        has_logits = self.class_count is not None
        return record(self.module, inputs, forms, self._replay_ways, has_logits, for_derivatives)

    def converted(self, dtype: torch.dtype) -> Network:
        """A copy whose module computes in `dtype`, channels_last where it can; inputs are cast, maps are in `dtype`."""
        memory_format = torch.channels_last if self._probe.takes_channels_last else torch.preserve_format
        return self._with(copy.deepcopy(self.module).to(dtype).to(memory_format=memory_format), dtype)

    def read_by(self, outputs: Callable[[Any], Tensor], labels: Sequence[str] | None = None) -> Network:
        """The same network, with outputs(what the module gives) (B, K) for logits. The module itself stays as it is."""
        module = copy.copy(self.module)
        module._forward_hooks = OrderedDict(self.module._forward_hooks)
        module.register_forward_hook(lambda _module, inputs, given: _read(outputs, given, len(inputs[0])))
        spec = f"{self.spec}, read by {getattr(outputs, '__qualname__', type(outputs).__name__)}"
        other = Network(module, self.preprocessing, labels, spec, self._recommended)
        other.dtype = self.dtype
        return other

    def sharing_weights(self, device: torch.device) -> Network:
        """A copy with modules of its own, so that another thread may run it: on this device the weights are shared."""
        weights = (*self.module.parameters(), *self.module.buffers())
        shared = {id(weight): weight for weight in weights} if device == self.device else {}
        return self._with(copy.deepcopy(self.module, shared).to(device), self.dtype)

    def _with(self, module: nn.Module, dtype: torch.dtype) -> Network:
        """The same network around another module, not probed again."""
        other = Network(module, self.preprocessing, self.labels, self.spec, self._recommended, self._has_logits)
        other.dtype = dtype
        other.__dict__["_probe"] = self._probe
        return other

    def resolve_precision(
        self, pixels: Tensor, layers: Sequence[str], wanted: Precision
    ) -> tuple[Precision, dict[str, float]]:
        """See networks/precision.py."""
        return resolve_precision(self, pixels, layers, wanted)

    def _made(self, changes: Mapping[str, Callable[[Tensor], Tensor]] | None) -> dict[str, Callable[[Tensor], Tensor]]:
        """Of maps, as changes of what the layers' modules give."""
        return {name: self._on_maps(name, change) for name, change in (changes or {}).items()}

    def _on_maps(self, name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        form = self._form(name)
        return lambda output: from_maps(change(to_maps(output, form)), output, form)

    def _form(self, name: str) -> Form:
        self.layer(name)
        return self._probe.forms[self.layer(name).name]

    def _large_enough(self, inputs: Tensor) -> Tensor:
        """Scaled up to the network's input where they are smaller: what stands behind a layer may not take less."""
        height, width = self.preprocessing.input_px
        if inputs.shape[2] >= height and inputs.shape[3] >= width:
            return inputs
        return nn.functional.interpolate(inputs, size=(height, width), mode="nearest")

    def _ready(self, inputs: Tensor, layers: Sequence[str]) -> Tensor:
        for name in layers:
            self.layer(name)
        inputs = inputs.to(self.device, self.dtype)
        if self._probe.takes_channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        unvetted = [name for name in layers if name not in self._vetted]
        if unvetted:
            vet(self.module, self._large_enough(inputs[:2].detach()), unvetted)
            self._vetted.update(unvetted)
        return inputs


def _read(outputs: Callable[[Any], Tensor], given: Any, count: int) -> Tensor:
    """What outputs= makes of what a network gives for so many images. Raises NetworkError where it is not (B, K)."""
    try:
        made = outputs(_in_float32(given))
    except Exception as error:  # a function of the user's may raise anything
        raise NetworkError(
            f"outputs= fails on what the network gives, a {type(given).__name__}: {type(error).__name__}: "
            f"{first_line(error)}; it has to make (B, K) numbers of that"
        ) from error
    if isinstance(made, Tensor) and made.ndim == 2 and len(made) == count:
        return made
    what = f"{tuple(made.shape)}" if isinstance(made, Tensor) else f"a {type(made).__name__}"
    raise NetworkError(f"outputs= gives {what} for {count} images; it has to give a tensor ({count}, K)")


def _in_float32(given: Any) -> Any:
    """A copy that computes in half precision still gives what a function written for the network expects."""
    if isinstance(given, Tensor):
        return given.float() if given.is_floating_point() else given
    if isinstance(given, dict):
        return type(given)((key, _in_float32(value)) for key, value in given.items())
    if type(given) in (list, tuple):
        return type(given)(_in_float32(value) for value in given)
    return given
