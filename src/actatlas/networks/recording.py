"""A forward pass that is remembered, so that the part behind a layer can be run again alone, with other maps in it.

At the moment when a layer answers, some modules have finished, others are still open. A replay runs the network's own
code from the start, but the outermost finished modules answer from memory; code between modules (additions,
concatenations, views) is cheap and runs again. So skips past the layer, branches and modules that are called twice need
no special care, and no graph is traced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from actatlas.errors import LayerNotReached, NetworkError
from actatlas.networks.forms import Form, from_maps, to_maps
from actatlas.networks.forward_mode import KeptValues, derivative
from actatlas.networks.running import plain_paths, split_name, watched

Call = tuple[nn.Module, int]  # a module and which of its calls, from 0
# "memory": finished modules answer from memory; "unchanged": only those whose output nothing changed in place, the
# others run again; "whole": everything runs again, and only the layer is replaced.
Way = Literal["memory", "unchanged", "whole"]


@dataclass
class _Answer:
    """A finished module's output, how often its memory had been written to then, and the calls that it stands for."""

    output: Any
    version: int
    skipped: Counter

    @property
    def is_changed(self) -> bool:
        return _version(self.output) != self.version

    def again(self) -> Any:
        """What was changed once in place would be changed again: a copy is given away."""
        return self.output.clone() if self.is_changed and isinstance(self.output, Tensor) else self.output


class Recording:
    """One forward pass. `replay` runs the part behind a layer again, with other maps in the layer's place.

    logits: (B, classes), or None for a network that has none
    maps: {layer: (B, C, H, W)}
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Tensor,
        forms: Mapping[str, Form],
        ways: dict[str, Way],
        kept: KeptValues | None = None,
    ):
        self._module, self._inputs, self._forms, self._ways, self._kept = module, inputs, forms, ways, kept
        self._outputs: dict[str, Tensor] = {}
        self._memories: dict[str, dict[Call, _Answer]] = {}
        self.logits: Tensor | None = None

    @property
    def maps(self) -> dict[str, Tensor]:
        return {name: to_maps(output, self._forms[name]) for name, output in self._outputs.items()}

    def replay(self, layer: str, maps: Tensor) -> Tensor:
        """The logits (B, classes) with `maps` (B, C, H, W) as the layer's output; B as recorded.

        Raises NetworkError for a network without logits, or with other ones each time.
        """
        if self.logits is None:
            raise NetworkError("the network gives no logits (B, classes), so nothing can be attributed to classes")
        with plain_paths():
            if layer not in self._ways:
                self._ways[layer] = self._find_way(layer, self.logits)
            return self._replay(layer, maps, self._ways[layer])

    def derivative(self, layer: str, tangent: Tensor, smooth_pooling: bool = False) -> Tensor:
        """The logits' derivative (B, classes) along `tangent` (B, C, H, W), a change of the layer's maps.

        smooth_pooling: as forward_mode.derivative has it

        Raises NetworkError as `replay`, NotImplementedError if an operation has no forward-mode rule.
        """
        _, slope = derivative(
            lambda maps: self.replay(layer, maps), self.maps[layer], tangent, self._kept, smooth_pooling
        )
        return slope

    @torch.no_grad()
    def _find_way(self, layer: str, logits: Tensor) -> Way:
        """The cheapest way that gives what a whole pass gives, for the maps as they were and for others."""
        maps = self.maps[layer].detach()
        other_maps = maps.flip(0, 2) * 0.5
        as_they_were, with_others = (self._replay(layer, m.clone(), "whole") for m in (maps, other_maps))
        if not _agree(as_they_were, logits):
            raise NetworkError(
                "the network gives other logits for the same input each time; switch its randomness off "
                "(functional dropout needs training=self.training)"
            )
        for way in ("memory", "unchanged"):
            if _agree(self._replay(layer, maps.clone(), way), as_they_were) and _agree(
                self._replay(layer, other_maps.clone(), way), with_others
            ):
                return way
        return "whole"

    def _replay(self, layer: str, maps: Tensor, way: Way) -> Tensor:
        output = from_maps(maps, self._outputs[layer], self._forms[layer])
        if way == "whole":
            with watched(self._module, [layer], lambda _layer, _output: output):
                return self._module(self._inputs.clone())
        name, call = split_name(layer)
        known = self._memories[layer]
        if way == "unchanged":
            known = {key: answer for key, answer in known.items() if not answer.is_changed}
        with _answering(known, (self._module.get_submodule(name), call), output):
            return self._module(self._inputs.clone())


def record(
    module: nn.Module,
    inputs: Tensor,
    forms: Mapping[str, Form],
    ways: dict[str, Way],
    has_logits: bool,
    for_derivatives: bool = False,
) -> Recording:
    """One whole pass. Raises LayerNotReached.

    for_derivatives: what `Recording.derivative` can use again is kept, at the price of memory
    """
    kept = KeptValues() if for_derivatives else None
    # Tensors made in inference mode do not count their changes, and know no forward mode.
    with torch.inference_mode(False), torch.set_grad_enabled(torch.is_grad_enabled()), plain_paths():
        recording = Recording(module, inputs.clone(), forms, ways, kept)
        with _remembering(module, recording, forms), kept or nullcontext():
            logits = module(inputs.clone())
    for layer in forms:
        if layer not in recording._outputs:
            raise LayerNotReached(layer)
    recording.logits = logits if has_logits else None
    return recording


@contextmanager
def _remembering(module: nn.Module, recording: Recording, layers: Mapping[str, Form]) -> Iterator[None]:
    """Hooks that keep, at any moment, the outputs of the outermost finished modules, and copy that at each layer."""
    wanted: dict[Call, list[str]] = {}
    for layer in layers:
        name, call = split_name(layer)
        wanted.setdefault((module.get_submodule(name), call), []).append(layer)
    finished: dict[Call, _Answer] = {}
    counts: Counter = Counter()
    calls: list[nn.Module] = []  # in the order in which they began
    open_calls: list[tuple[int, int, list[Call]]] = []  # which call, its place in `calls`, what finished inside
    left = len(wanted)

    def before(inner: nn.Module, _inputs: Any) -> None:
        calls.append(inner)
        open_calls.append((counts[inner], len(calls), []))
        counts[inner] += 1

    def after(inner: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal left
        call, place, inside = open_calls.pop()
        for key in inside:
            finished.pop(key, None)
        key = (inner, call)
        for layer in wanted.get(key, ()):
            recording._outputs[layer] = output
            recording._memories[layer] = dict(finished)
        left -= key in wanted
        if left > 0:
            finished[key] = _Answer(output, _version(output), Counter(calls[place:]))
        if open_calls:
            open_calls[-1][2].append(key)

    inner_modules = [inner for inner in module.modules() if inner is not module]
    handles = [inner.register_forward_pre_hook(before) for inner in inner_modules]
    handles += [inner.register_forward_hook(after) for inner in inner_modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _answering(answers: Mapping[Call, _Answer], layer: Call, output: Tensor) -> Iterator[None]:
    """Modules answer the calls in `answers` from memory, and the call of the layer with `output`.

    The calls that such an answer skips are counted as made.
    """
    counts: Counter = Counter()
    involved = {inner for inner, _ in answers} | {m for answer in answers.values() for m in answer.skipped}
    involved.add(layer[0])

    def forward_for(inner: nn.Module, original: Callable) -> Callable:
        def answer(*arguments: Any, **named: Any) -> Any:
            call = counts[inner]
            counts[inner] += 1
            if (inner, call) == layer:
                return output
            if (inner, call) not in answers:
                return original(*arguments, **named)
            counts.update(answers[(inner, call)].skipped)
            return answers[(inner, call)].again()

        return answer

    own = {inner: inner.__dict__["forward"] for inner in involved if "forward" in inner.__dict__}
    for inner in involved:
        inner.forward = forward_for(inner, inner.forward)
    try:
        yield
    finally:
        for inner in involved:
            del inner.forward
        for inner, forward_of_its_own in own.items():
            inner.forward = forward_of_its_own


def _agree(one: Tensor, other: Tensor) -> bool:
    """Half precisions, and a GPU's choice of another algorithm, round differently from pass to pass."""
    tolerance = 5e-2 if one.dtype != torch.float32 else 1e-4 if one.device.type == "cpu" else 1e-3
    return bool((one - other).abs().max() <= tolerance * other.abs().max())


def _version(value: Any) -> int:
    """How often the memory of the tensors in `value` was written to."""
    if isinstance(value, Tensor):
        return 0 if value.is_inference() else value._version
    if isinstance(value, dict):
        return sum(map(_version, value.values()))
    return sum(map(_version, value)) if isinstance(value, list | tuple) else 0
