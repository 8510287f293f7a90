"""Which layers make good atlases: half a dozen over the depth, after a non-linearity, with an inside to draw from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from actatlas.values import LayerInfo

RECOMMENDED_COUNT = 6
SPREAD_COUNT = 12
# Only after a non-linearity is a channel a direction of its own (Elhage et al. 2021, "privileged basis").
_ACTIVATION = re.compile(r"relu|gelu|silu|swish|mish|[a-z]elu|softplus|tanh|sigmoid", re.IGNORECASE)
_PASSING_ON = re.compile(r"identity|drop|pool|pad|flatten|shuffle", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """A layer, what tells whether it follows a non-linearity, and which tensor it gives: several modules may give one.

    is_rectified: nothing in it is negative, and some of it is zero
    """

    layer: LayerInfo
    is_rectified: bool
    tensor_id: int

    @property
    def is_nonlinear(self) -> bool:
        return self.is_rectified or bool(_ACTIVATION.search(self.layer.type))


def recommend(candidates: Sequence[Candidate], has_effect: Callable[[LayerInfo], bool]) -> set[str]:
    """Names. has_effect: whether the logits depend on the layer's positions (a class token's last block's do not)."""
    layers = _outermost(_one_a_tensor(_best_kind(candidates)))
    if layers and has_effect(layers[0]):  # in a network whose logits are constant, nothing has
        while not has_effect(layers[-1]):
            layers.pop()
    if len(layers) <= RECOMMENDED_COUNT:
        return {layer.name for layer in layers}
    # Not from the very first: the stem's few edges make a poor map.
    first, last = len(layers) // (RECOMMENDED_COUNT + 1), len(layers) - 1
    return {layers[round(first + (last - first) * i / (RECOMMENDED_COUNT - 1))].name for i in range(RECOMMENDED_COUNT)}


def spread(candidates: Sequence[Candidate]) -> list[str]:
    """Names of up to a dozen layers, from the first to the last: together they say what an input looks like."""
    layers = _one_a_tensor(_best_kind(candidates))
    picked = np.linspace(0, len(layers) - 1, min(SPREAD_COUNT, len(layers))).round().astype(int)
    return [layers[i].name for i in picked]


def _best_kind(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Those after a non-linearity that are maps with channels; where there are none, the next best."""
    usable = [c for c in candidates if not _PASSING_ON.search(c.layer.type)]
    spatial = [c for c in usable if min(c.layer.shape[1:]) >= 3 and c.layer.shape[0] >= 8]
    nonlinear_ids = {c.tensor_id for c in candidates if c.is_nonlinear}
    ranked = ([c for c in spatial if c.tensor_id in nonlinear_ids], spatial, usable, candidates)
    return next((group for group in ranked if group), [])


def _one_a_tensor(candidates: Sequence[Candidate]) -> list[LayerInfo]:
    """Of several names of one tensor: a block's own says more than its last step's, and a call's number less."""
    best: dict[int, LayerInfo] = {}
    for candidate in candidates:
        before = best.get(candidate.tensor_id)
        if before is None or _plainness(candidate.layer) < _plainness(before):
            best[candidate.tensor_id] = candidate.layer
    return list(best.values())


def _plainness(layer: LayerInfo) -> tuple[bool, int]:
    return "#" in layer.name, layer.name.count(".")


def _outermost(layers: list[LayerInfo]) -> list[LayerInfo]:
    """Only layers of the outermost kind, if there are enough, to the end: blocks, say, not the steps inside too."""
    for depth in range(1, 6):
        outer = [layer for layer in layers if layer.name.count(".") < depth]
        if len(outer) >= RECOMMENDED_COUNT and layers.index(outer[-1]) >= 0.8 * (len(layers) - 1):
            return outer
    return layers
