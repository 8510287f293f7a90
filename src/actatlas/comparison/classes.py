"""What the cells of a shared map speak for in either network, over classes that both know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from actatlas.atlas import Layer
from actatlas.comparison.photos import CellPhotos


@dataclass(frozen=True)
class SharedClasses:
    """Classes that both networks have, by name; of networks without names by number, where they have as many.

    names: of each, or None; of: for the first and the second network which of its logits each is
    """

    names: list[str] | None
    of: tuple[np.ndarray, np.ndarray]

    def __len__(self) -> int:
        return len(self.of[0])

    def name(self, index: int) -> str:
        return f"class {self.of[0][index]}" if self.names is None else self.names[index]


def shared_classes(first: Layer, second: Layer) -> SharedClasses | None:
    """None where there is no common class, or a network has none."""
    counts = [layer.atlas.plan["network"]["class_count"] for layer in (first, second)]
    labels = [layer.atlas.labels for layer in (first, second)]
    if None in counts:
        return None
    if labels[0] == labels[1]:
        every = np.arange(min(counts))
        return SharedClasses(labels[0], (every, every)) if counts[0] == counts[1] else None
    if labels[0] is None or labels[1] is None:
        return None
    where = {name: i for i, name in reversed(list(enumerate(labels[1])))}
    both = [(i, where[name]) for i, name in enumerate(labels[0]) if name in where]
    if not both:
        return None
    one, other = np.array(both, np.int64).T
    return SharedClasses([labels[0][i] for i in one], (one, other))


@dataclass(frozen=True)
class Spoken:
    """What cells speak for in one network, over what the layer's average activation does.

    values: (K, classes) float32, mean over the cell's photos, each the mean of its activations; NaN without any
    photos: (K,) how many that is of
    """

    values: np.ndarray
    photos: np.ndarray

    @property
    def top(self) -> np.ndarray:
        """(K,) the class that each speaks for most, −1 where none is known."""
        known = np.isfinite(self.values).all(axis=1)
        return np.where(known, np.argmax(np.where(known[:, None], self.values, 0), axis=1), -1)


def spoken(layer: Layer, rows: np.ndarray, at: CellPhotos, classes: np.ndarray) -> Spoken | None:
    """rows: (N,) of the layer, in any order; classes: of the layer's logits, those that count

    By the activations that carry attributions: all, or in large atlases some. None where there are none.
    """
    carry = np.isin(rows, layer.attributed_rows) & (at.pair >= 0)
    if not carry.any():
        return None
    counts = np.bincount(at.pair[carry], minlength=at.pair_count)
    photos = np.bincount(at.cell[counts > 0], minlength=at.cell_count)
    values = np.zeros((at.cell_count, len(classes)))
    for places, attributions in _read(layer, rows, carry):
        pair = at.pair[places]
        weights = 1 / (counts[pair] * photos[at.cell[pair]])
        shape = at.cell_count, len(places)
        mix = scipy.sparse.csr_matrix((weights, (at.cell[pair], np.arange(len(places)))), shape=shape)
        values += mix @ attributions[:, classes].astype(np.float64)
    values[photos == 0] = np.nan
    return Spoken((values - layer.attribution_mean[classes]).astype(np.float32), photos)


def preferences(layer: Layer, rows: np.ndarray, at: CellPhotos, pairs: np.ndarray) -> np.ndarray:
    """(P,): how much more each photo speaks for one class than for another, where it is met in a cell; NaN unasked.

    pairs: (K, 2) the layer's logits, −1 where nothing is asked; over what the average activation speaks for
    """
    asked = at.pair >= 0
    asked[asked] = pairs[at.cell[at.pair[asked]], 0] >= 0
    sums, counts = np.zeros(at.pair_count), np.zeros(at.pair_count)
    for places, attributions in _read(layer, rows, asked):
        pair = at.pair[places]
        over_mean = attributions.astype(np.float64) - layer.attribution_mean
        of_two = np.take_along_axis(over_mean, pairs[at.cell[pair]], axis=1)
        sums += np.bincount(pair, weights=of_two[:, 0] - of_two[:, 1], minlength=at.pair_count)
        counts += np.bincount(pair, minlength=at.pair_count)
    return np.divide(sums, counts, out=np.full(at.pair_count, np.nan), where=counts > 0)


def _read(layer: Layer, rows: np.ndarray, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of what carries attributions: places (m,) in `rows` where it is wanted, and attributions (m, classes)."""
    order = np.argsort(rows, kind="stable")
    order = order[wanted[order]]
    ordered = rows[order]
    for found, attributions in layer.read_attributed():
        if not len(ordered):
            return
        at = np.minimum(np.searchsorted(ordered, found), len(ordered) - 1)
        is_there = ordered[at] == found
        if is_there.any():
            yield order[at[is_there]], attributions[is_there]
