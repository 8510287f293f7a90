"""What activations can be chosen by: a class, two classes, a channel, a direction. Each scores every activation."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from actatlas.atlas import Layer
from actatlas.errors import NoAttributions, UsageError


@dataclass(frozen=True)
class Choice:
    """Activations that were chosen.

    rows: (n,) of the layer's activations, ascending; scores: (n,) float32, what each was chosen by
    coverage: their positive scores, added up, as a share of those of all that have a score
    scored: how many have one: all, or those that carry attributions
    """

    rows: np.ndarray
    scores: np.ndarray
    coverage: float
    scored: int

    def among(self, rows: np.ndarray) -> Choice:
        """The same, where `rows` (n,), ascending, are the activations that have a score."""
        return replace(self, rows=rows[self.rows])


class Target(ABC):
    """title: what people read; key: names the atlas's folder."""

    @property
    @abstractmethod
    def title(self) -> str: ...

    @property
    @abstractmethod
    def key(self) -> str: ...

    @abstractmethod
    def choose(self, layer: Layer, most: int) -> Choice:
        """At least the `most` with the highest scores, as far as those are above 0. Streams over shards."""


@dataclass(frozen=True)
class ClassTarget(Target):
    """A class: an activation's score is its attribution to it. Taken are also all whose strongest class it is."""

    index: int
    title: str = ""

    @property
    def key(self) -> str:
        return f"class-{self.index}"

    def choose(self, layer: Layer, most: int) -> Choice:
        rows, scores, is_strongest = _attributions(layer, [self.index])
        return _highest(scores[:, 0], most, is_strongest[:, 0]).among(rows)


@dataclass(frozen=True)
class VersusTarget(Target):
    """Two classes: the score is the attribution to the second less that to the first. Taken are those of either."""

    first: ClassTarget
    second: ClassTarget

    @property
    def title(self) -> str:
        return f"{self.first.title} versus {self.second.title}"

    @property
    def key(self) -> str:
        return f"class-{self.first.index}-versus-{self.second.index}"

    def choose(self, layer: Layer, most: int) -> Choice:
        rows, scores, is_strongest = _attributions(layer, [self.first.index, self.second.index])
        either = [_highest(scores[:, i], -(-most // 2), is_strongest[:, i]) for i in (0, 1)]
        taken = np.union1d(either[0].rows, either[1].rows)
        difference = scores[taken, 1] - scores[taken, 0]
        return Choice(taken, difference, _coverage(scores, taken), len(scores)).among(rows)


@dataclass(frozen=True)
class ChannelTarget(Target):
    """One channel of the layer: the score is what it answers, over its mean."""

    channel: int

    @property
    def title(self) -> str:
        return f"channel {self.channel}"

    @property
    def key(self) -> str:
        return f"channel-{self.channel}"

    def choose(self, layer: Layer, most: int) -> Choice:
        count = layer.info.shape[0]
        if not 0 <= self.channel < count:
            raise UsageError(f"{layer.name} has channels 0 to {count - 1}, not {self.channel}")
        parts = [part.vectors[:, self.channel].astype(np.float32) for part in layer.read_shards()]
        return _highest(np.concatenate(parts) - layer.mean[self.channel], most)


@dataclass(frozen=True)
class DirectionTarget(Target):
    """A direction (C,), such as a cell's, a probe's or a sparse autoencoder's: the score is the part along it."""

    direction: np.ndarray
    title: str = "a direction"

    @property
    def key(self) -> str:
        data = np.asarray(self.direction, np.float32).tobytes()
        return f"direction-{hashlib.sha256(data).hexdigest()[:12]}"

    def choose(self, layer: Layer, most: int) -> Choice:
        direction = np.asarray(self.direction, np.float32).ravel()
        size = float(np.linalg.norm(direction))
        if len(direction) != layer.info.shape[0] or not np.isfinite(size) or size == 0:
            raise UsageError(
                f"a direction of {layer.name} is {layer.info.shape[0]} finite numbers, not all zero; "
                f"this one has {len(direction)}"
            )
        parts = [(part.vectors.astype(np.float32) - layer.mean) @ (direction / size) for part in layer.read_shards()]
        return _highest(np.concatenate(parts), most)


def _attributions(layer: Layer, classes: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the activations that carry attributions: rows (n,), ascending, attributions (n, k) float32 to some classes,
    and (n, k) whether each is what the activation speaks for most. Raises NoAttributions.
    """
    average = layer.attribution_mean
    rows, found, strongest = [], [], []
    for part_rows, attributions in layer.read_attributed():
        rows.append(part_rows)
        found.append(attributions[:, classes].astype(np.float32))
        strongest.append((attributions - average).argmax(axis=1)[:, None] == np.array(classes))
    if not rows:
        raise NoAttributions(layer.atlas.folder)
    order = np.argsort(np.concatenate(rows), kind="stable")
    return np.concatenate(rows)[order], np.concatenate(found)[order], np.concatenate(strongest)[order]


def _highest(scores: np.ndarray, most: int, also: np.ndarray | None = None) -> Choice:
    """The `most` highest scores (n,) above 0, and those of `also` (n,) bool, each once."""
    chosen = np.zeros(len(scores), bool) if also is None else also.copy()
    chosen[np.argsort(-scores, kind="stable")[:most]] = True
    rows = np.flatnonzero(chosen & (scores > 0))
    return Choice(rows, scores[rows], _coverage(scores, rows), len(scores))


def _coverage(scores: np.ndarray, rows: np.ndarray) -> float:
    """Of the positive scores (n,) or (n, k), added up, the share that is in `rows`."""
    positive = np.maximum(scores.astype(np.float64), 0)
    return float(positive[rows].sum() / max(positive.sum(), 1e-12))
