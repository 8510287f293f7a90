"""Of each cell a few members stand for all: which, how many each stands for, and how far their mean may be off.

Every activation has a key, a uniform number that depends on the seed and its row alone. Of a cell those photos are
taken whose smallest key there is smallest, each by that member (bottom-k sampling, Cohen and Kaplan 2007). As keys are
the same for all grids, what stands for a coarse cell stands for the finer one inside it too: another grid adds little.
As they are for all layers, what is run for one often serves others. The smallest keys of all are a uniform sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from actatlas.values import CellAttributions

# A fresh iterator over what carries attributions: rows (n,), attributions (n, classes). Each row comes once.
ReadAttributions = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]

_PIECE = 4096  # rows that are in float64 at once


@dataclass(frozen=True)
class CellSample:
    """The members that stand for the cells of a grid, ordered by row.

    rows: (n,) int64, of all activations, ascending; cells: (n,) int64
    weights: (n,) float64, at least 1: how many members of its cell each stands for, one over its chance to be taken
    cell_count: K
    """

    rows: np.ndarray
    cells: np.ndarray
    weights: np.ndarray
    cell_count: int


def row_keys(seed: int, count: int) -> np.ndarray:
    """(count,) float64 in [0, 1): of each row, in every layer. A longer list begins with a shorter one."""
    digest = hashlib.sha256(f"{seed} attributed".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little"))).random(count)


def choose_for_average(keys: np.ndarray, most: int) -> np.ndarray:
    """(≤ most,) rows, ascending: a uniform sample of all."""
    return np.sort(np.argsort(keys, kind="stable")[:most])


def choose_members(
    member_offsets: np.ndarray, member_rows: np.ndarray, image_ids: np.ndarray, keys: np.ndarray, most: int
) -> CellSample:
    """Of each cell one member of each of up to `most` photos.

    member_offsets, member_rows: as values.Cells has them; image_ids, keys: (N,) of all activations

    With m members of its photo in the cell, and t the smallest key of the first photo that is left out (1 if none is),
    a photo had the chance 1 − (1 − t)^m to be taken, and its member a share of 1/m in that.
    """
    cell_count = len(member_offsets) - 1
    cells = np.repeat(np.arange(cell_count), np.diff(member_offsets))
    order = np.lexsort([keys[member_rows], cells])
    rows, cells = member_rows[order], cells[order]
    _, first, of_photo = np.unique(
        np.stack([cells, image_ids[rows]], axis=1), axis=0, return_index=True, return_counts=True
    )
    by_key = np.argsort(first)  # photos in the order of cells, then of their smallest keys
    first, of_photo = first[by_key], of_photo[by_key]
    rows, cells = rows[first], cells[first]
    place = np.arange(len(rows)) - np.searchsorted(cells, cells, side="left")
    threshold = np.ones(cell_count)
    threshold[cells[place == most]] = keys[rows[place == most]]
    taken = np.flatnonzero(place < most)
    taken = taken[np.argsort(rows[taken])]
    rows, cells, m = rows[taken], cells[taken], of_photo[taken]
    return CellSample(rows, cells, m / (1 - (1 - threshold[cells]) ** m), cell_count)


def average_cells(sample: CellSample, read: ReadAttributions, average: np.ndarray) -> CellAttributions:
    """Means over the members that stand for the cells, in two passes.

    average: (classes,) of the whole layer, for a cell of which no member carries attributions

    With weights w and the weighted variance v of a cell's members, corrected by n / (n − 1), the error is
    √(v · Σ w (w − 1)) / Σ w; for equal weights √(v / n · (1 − n / count)). What one member says of others of its photo
    is not known, so v holds what photos differ in too, and the error is rather too large.
    """
    counts, weights, spare = (np.zeros(sample.cell_count) for _ in range(3))
    shape = sample.cell_count, len(average)
    sums, squares = np.zeros(shape), np.zeros(shape)
    for cells, w, attributions in _of_sample(sample, read):
        counts += np.bincount(cells, minlength=sample.cell_count)
        weights += np.bincount(cells, w, sample.cell_count)
        spare += np.bincount(cells, w * (w - 1), sample.cell_count)
        _add(sums, cells, w[:, None] * attributions)
    held = np.maximum(weights, 1e-12)[:, None]
    means = np.where(counts[:, None] > 0, sums / held, average)
    for cells, w, attributions in _of_sample(sample, read):
        _add(squares, cells, w[:, None] * (attributions - means[cells]) ** 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        corrected = np.where(counts > 1, counts / (counts - 1), np.nan)
        errors = np.sqrt(squares / held * (corrected * spare)[:, None]) / held
    errors[(spare == 0) & (counts > 0)] = 0  # all members carry attributions
    return CellAttributions(means.astype(np.float32), errors.astype(np.float16), counts.astype(np.int64))


def average_all(rows: np.ndarray, count: int, read: ReadAttributions) -> tuple[np.ndarray, np.ndarray]:
    """(classes,) float32 mean over a uniform sample (n,) of `count` activations, ascending, and its standard error."""
    found = 0
    sums = squares = np.zeros(1)
    for row_part, attributions in read():
        values = attributions[np.isin(row_part, rows, assume_unique=True)].astype(np.float64)
        found += len(values)
        sums, squares = sums + values.sum(axis=0), squares + (values**2).sum(axis=0)
    mean = sums / max(found, 1)
    variance = np.maximum(squares - found * mean**2, 0) / max(found - 1, 1)
    error = np.sqrt(variance / max(found, 1) * (1 - found / max(count, 1)))
    return mean.astype(np.float32), error.astype(np.float32)


def _of_sample(sample: CellSample, read: ReadAttributions) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Cells, weights and attributions (n, classes) float64 of what is read and stands for a cell, part by part."""
    for rows, attributions in _in_pieces(read):
        place = np.minimum(np.searchsorted(sample.rows, rows), max(len(sample.rows) - 1, 0))
        is_taken = sample.rows[place] == rows if len(sample.rows) else np.zeros(len(rows), bool)
        place = place[is_taken]
        yield sample.cells[place], sample.weights[place], attributions[is_taken].astype(np.float64)


def _in_pieces(read: ReadAttributions) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for rows, attributions in read():
        for start in range(0, len(rows), _PIECE):
            yield rows[start : start + _PIECE], attributions[start : start + _PIECE]


def _add(sums: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
    """To `sums` (K, V) the `values` (n, V), each to its cell (n,)."""
    order = np.argsort(cells, kind="stable")
    if len(order):
        present, starts = np.unique(cells[order], return_index=True)
        sums[present] += np.add.reduceat(values[order], starts, axis=0)
