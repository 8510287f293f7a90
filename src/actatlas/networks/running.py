"""Forward passes that are watched and may stop early. Hooks are always removed again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from actatlas.errors import ChangedInPlace, LayerNotReached
from actatlas.networks.switch import ProcessSwitch


class _Enough(BaseException):
    """The last wanted layer has answered. Never leaves this module; no network's own `except Exception` stops it."""


def split_name(layer: str) -> tuple[str, int]:
    """ "relu#2" → ("relu", 1); "relu" → ("relu", 0)."""
    name, _, call = layer.partition("#")
    return name, int(call) - 1 if call else 0


def forward(
    module: nn.Module,
    inputs: Tensor,
    layers: Sequence[str],
    changes: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
) -> dict[str, Tensor]:
    """{layer: its output}; the pass stops after the last of them. Raises LayerNotReached.

    changes: {layer, one of these: what its output is made into, for all that comes after it}
    """
    outputs: dict[str, Tensor] = {}
    wanted_count = len(set(layers))

    def seen(layer: str, output: Tensor) -> Tensor | None:
        change = changes.get(layer) if changes else None
        outputs[layer] = output if change is None else change(output)
        if len(outputs) == wanted_count:
            raise _Enough
        return None if change is None else outputs[layer]

    with plain_paths(), watched(module, layers, seen) as counts, suppress(_Enough):
        module(inputs.clone())  # a network may change its input in place; the caller's stays as it was
    _require(layers, outputs, counts)
    return outputs


def vet(module: nn.Module, inputs: Tensor, layers: Sequence[str]) -> None:
    """One whole pass that compares each layer's output with a copy of it. Raises ChangedInPlace, LayerNotReached.

    A change that left the values as they were on these inputs (a clamp that was not reached) counts too.
    """
    outputs: dict[str, tuple[Tensor, Tensor, int]] = {}

    def seen(layer: str, output: Tensor) -> None:
        outputs[layer] = output, output.clone(), output._version

    # Tensors made in inference mode do not count their changes.
    with torch.inference_mode(False), torch.no_grad(), plain_paths(), watched(module, layers, seen) as counts:
        module(inputs.clone())
    _require(layers, outputs, counts)
    for layer in layers:
        output, copy, version = outputs[layer]
        if output._version != version or not torch.equal(output.nan_to_num(), copy.nan_to_num()):
            raise ChangedInPlace(layer)


@contextmanager
def watched(module: nn.Module, layers: Sequence[str], seen: Callable[[str, Any], Any]) -> Iterator[Counter]:
    """Calls `seen(layer, output)` at each wanted call; what it returns, if not None, takes the output's place.

    Gives how often each module was called so far.
    """
    wanted: dict[str, dict[int, list[str]]] = {}
    for layer in dict.fromkeys(layers):
        name, call = split_name(layer)
        wanted.setdefault(name, {}).setdefault(call, []).append(layer)
    counts: Counter = Counter()

    def hook_for(name: str) -> Callable:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            call = counts[name]
            counts[name] += 1
            for layer in wanted[name].get(call, ()):
                other = seen(layer, output)
                output = output if other is None else other
            return output

        return hook

    handles = [module.get_submodule(name).register_forward_hook(hook_for(name)) for name in wanted]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def _leave_fast_paths() -> Callable[[], None]:
    """Fused transformer layers call no sub-modules, so no hook would hear of them, and they have no forward mode."""
    was_enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    return lambda: torch.backends.mha.set_fastpath_enabled(was_enabled)


plain_paths = ProcessSwitch(_leave_fast_paths)


def _require(layers: Sequence[str], outputs: dict[str, Any], counts: Counter) -> None:
    for layer in layers:
        if layer not in outputs:
            raise LayerNotReached(layer, counts[split_name(layer)[0]])
