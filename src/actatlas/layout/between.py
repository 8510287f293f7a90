"""A map whose one axis is given, as between two classes; along the other, like things are near."""

from __future__ import annotations

import numpy as np

from actatlas.layout.embedding import starting_points
from actatlas.layout.neighbours import neighbour_graph
from actatlas.layout.settings import LayoutSettings
from actatlas.values import Layout

_LATTICE = 32768
_PERCENTILE = 99.0


def lay_out_between(vectors: np.ndarray, image_ids: np.ndarray, scores: np.ndarray, settings: LayoutSettings) -> Layout:
    """x: the score (N,), 0 in the middle, from −s to s, s the 99th percentile of its size; what is beyond is put there.

    y: one dimension, by the neighbour graph's slowest wave (Laplacian eigenmaps, Belkin and Niyogi 2003), by rank, so
    that it is filled evenly. vectors: (N, C)
    """
    reach = max(float(np.percentile(np.abs(scores), _PERCENTILE)), 1e-12)
    x = np.clip(scores / reach, -1, 1) / 2 + 0.5
    y = np.full(len(x), 0.5)
    if len(vectors) > 1:
        seed = settings.seed_of("between")
        graph, _ = neighbour_graph(vectors, image_ids, settings.neighbors, seed, lambda count: None)
        y = starting_points(graph, [vectors], seed)[:, 0]
        y = np.argsort(np.argsort(y, kind="stable"), kind="stable") / (len(y) - 1)
    return Layout((np.round(np.stack([x, y], axis=1) * _LATTICE) / _LATTICE).astype(np.float32))
