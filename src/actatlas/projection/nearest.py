"""The nearest activations among at most some ten thousands: all pairs, compared block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Pool:
    """Activations among which neighbours are looked for.

    unit: (M, C + 1) float16, of length 1; in the last column rows of zeros alone are 1, so they are like one another
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


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """(N, C) → (N, C + 1) float16, as `Pool` has them."""
    rows = vectors.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    is_zero = lengths == 0
    return np.hstack([rows / np.where(is_zero, 1, lengths), is_zero]).astype(np.float16)


def nearest(
    pool: Pool, unit: np.ndarray, photos: np.ndarray, k: int, tick: Callable[[int], None] = lambda count: None
) -> tuple[np.ndarray, np.ndarray]:
    """Of unit (N, C + 1), of photos (N,), the k nearest of the pool that are of other photos.

    Returns indices (N, k) int64 into the pool and cosine distances (N, k) float32, ascending; where there are no more,
    the distance is infinite.
    """
    k = min(k, len(pool))
    indices, distances = np.empty((len(unit), k), np.int64), np.empty((len(unit), k), np.float32)
    others = pool.unit.astype(np.float32).T  # (C + 1, M)
    for start in range(0, len(unit), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        far = 1 - unit[part].astype(np.float32) @ others  # (n, M)
        far[photos[part, None] == pool.photos[None, :]] = np.inf
        found = np.argpartition(far, k - 1, axis=1)[:, :k]
        found.sort(axis=1)
        values = np.take_along_axis(far, found, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        indices[part] = np.take_along_axis(found, order, axis=1)
        distances[part] = np.maximum(np.take_along_axis(values, order, axis=1), 0)
        tick(len(far))
    return indices, distances
