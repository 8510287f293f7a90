"""Where an activation falls on a map that was made without it."""

from __future__ import annotations

import numpy as np

_ROWS_AT_ONCE = 4096


def placed(points: np.ndarray, indices: np.ndarray, distances: np.ndarray, together: int) -> np.ndarray:
    """(N, 2) float32 in [0, 1]: amid those of an activation's neighbours that lie closest together on the map.

    points: (M, 2), of all that may be neighbours; indices, distances: (N, k), of these the nearest to each activation
    together: of the k so many count: those nearest to the neighbour that all others are nearest to

    A mean of all k would fall between the parts of the map that they are in: cells filled that way hold together little
    better than by half (docs/decisions/0019-second-sets-by-neighbours.md). A row depends on its own neighbours alone.
    """
    found = np.empty((len(indices), 2), np.float32)
    for start in range(0, len(indices), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        found[part] = _amid(points[indices[part]].astype(np.float64), _weights(distances[part]), together)
    return found


def _weights(distances: np.ndarray) -> np.ndarray:
    """(n, k): exp(−(d − nearest) / mean of these differences), as UMAP's memberships; 0 where there is no neighbour."""
    is_there = np.isfinite(distances)
    beyond = np.where(is_there, distances - distances[:, :1], 0)
    scale = beyond.sum(axis=1, keepdims=True) / np.maximum(is_there.sum(axis=1, keepdims=True), 1)
    return np.where(is_there, np.exp(-beyond / np.maximum(scale, 1e-9)), 0)


def _amid(places: np.ndarray, weights: np.ndarray, together: int) -> np.ndarray:
    """places (n, k, 2), weights (n, k) → (n, 2)."""
    apart = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)  # (n, k, k)
    # Roots: one neighbour across the map counts little more than one half way there.
    cost = (np.sqrt(apart) * weights[:, None, :]).sum(axis=2) + np.where(weights > 0, 0, np.inf)
    middle = cost.argmin(axis=1)
    of_middle = apart[np.arange(len(places)), middle] + np.where(weights > 0, 0, np.inf)  # (n, k)
    chosen = np.argsort(of_middle, axis=1, kind="stable")[:, :together]
    share = np.take_along_axis(weights, chosen, axis=1)
    near = np.take_along_axis(places, chosen[..., None], axis=1)
    return (share[..., None] * near).sum(axis=1) / share.sum(axis=1, keepdims=True)
