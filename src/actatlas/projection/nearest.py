"""Activations among which neighbours are looked for: of the atlas, or of the second set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from actatlas.layout import nearest_among

_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Pool:
    """unit: (M, C + 1) float32, of length 1: as `unit_rows` has them, or photos' wholes
    photos: (M,) int64, which photo each is of; the same number is the same photo in every pool
    rows: (M,) int64, which activations of their layer these are
    """

    unit: np.ndarray
    photos: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def photo_count(self) -> int:
        return len(np.unique(self.photos))

    def nearest(
        self, unit: np.ndarray, photos: np.ndarray, k: int, tick: Callable[[int], None] = lambda count: None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `nearest_among`, of rows (N, C + 1) of photos (N,). Distances do not depend on the rows beside a row."""
        indices, distances = nearest_among(self.unit, self.photos, unit, photos, k, tick)
        for start in range(0, len(unit), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            # A product of matrices has other last bits with other rows beside, and differences of distances are small.
            likeness = np.einsum("nkc,nc->nk", self.unit[indices[part]], unit[part], dtype=np.float64)
            exact = np.maximum(1 - likeness, 0)
            exact = np.where(np.isfinite(distances[part]), exact, np.inf).astype(np.float32)
            order = np.argsort(exact, axis=1, kind="stable")
            indices[part] = np.take_along_axis(indices[part], order, axis=1)
            distances[part] = np.take_along_axis(exact, order, axis=1)
        return indices, distances


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """(N, C) → (N, C + 1) float32, of length 1; in the last column rows of zeros alone are 1, so that they are like one
    another. Every pool has that column, whether there are such rows or not.
    """
    is_zero = ~vectors.any(axis=1, keepdims=True)
    rows = np.hstack([vectors, is_zero]).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def wholes_of(pools: Sequence[Pool]) -> list[Pool]:
    """For each pool one of its photos, ascending: the mean of a photo's activations, less that of all photos, so that
    what all photos share makes none of them alike.
    """
    wholes = []
    for pool in pools:
        photos, of_rows = np.unique(pool.photos, return_inverse=True)
        summed = scipy.sparse.csr_matrix((np.ones(len(pool), np.float32), (of_rows, np.arange(len(pool)))))
        wholes.append(Pool(summed @ pool.unit, photos, np.arange(len(photos))))
        _to_length_1(wholes[-1].unit)
    usual = sum(whole.unit.sum(axis=0) for whole in wholes) / sum(len(whole) for whole in wholes)
    for whole in wholes:
        np.subtract(whole.unit, usual, out=whole.unit)
        _to_length_1(whole.unit)
    return wholes


def _to_length_1(rows: np.ndarray) -> None:
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
