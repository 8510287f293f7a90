"""UMAP's descent on one graph, an epoch at a time.

The graph, the curve and the gradient are umap-learn's (McInnes et al. 2018). Its own loop cannot be interrupted between
epochs, which alignment needs; `benchmarks/alignment.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numba
import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg
import umap.umap_

from actatlas.layout.neighbours import unit_rows

Graph: TypeAlias = scipy.sparse.csr_matrix
_NEGATIVE_SAMPLES = 5
_START_SPAN = 10.0


@dataclass(frozen=True)
class Curve:
    """Likeness at distance d on the map: 1 / (1 + a · d^(2b))."""

    a: float
    b: float

    @classmethod
    def fitted(cls, min_dist: float) -> Curve:
        a, b = umap.umap_.find_ab_params(1.0, min_dist)
        return cls(float(a), float(b))


class Mover(Protocol):
    """Moves points (N, 2) by a graph, in place."""

    def run(self, points: np.ndarray, epoch: int, rate: float) -> None: ...


def descend(
    points: np.ndarray,
    mover: Mover,
    epochs: int,
    rate: float,
    tick: Callable[[int], None] = lambda count: None,
) -> None:
    """Moves points (N, 2) in place, by `rate` in the first epoch and ever less."""
    for epoch in range(epochs):
        mover.run(points, epoch, rate * (1 - epoch / epochs))
        tick(1)


class Optimiser:
    """Moves points by the edges of one graph. An edge of weight w is drawn in w / max(w) of the epochs."""

    def __init__(self, graph: Graph, curve: Curve, epochs: int, seed: int):
        edges = graph.tocoo()
        drawn = edges.data >= edges.data.max() / epochs
        self._head = edges.row[drawn].astype(np.int32)
        self._tail = edges.col[drawn].astype(np.int32)
        self._interval = (edges.data.max() / edges.data[drawn]).astype(np.float32)  # epochs between draws
        self._next = self._interval.copy()
        self._next_negative = self._interval / np.float32(_NEGATIVE_SAMPLES)
        self._random = np.random.default_rng(seed).integers(1, 2**63 - 1, graph.shape[0]).astype(np.uint64)
        self._curve = curve

    def run(self, points: np.ndarray, epoch: int, rate: float) -> None:
        """One epoch, in place. points: (N, 2) float64; epochs are counted from 0."""
        edges = (self._head, self._tail, self._interval, self._next, self._next_negative)
        _run_epoch(points, edges, self._random, (self._curve.a, self._curve.b), rate, epoch)


def starting_points(graph: Graph, vectors: Iterable[np.ndarray], seed: int) -> np.ndarray:
    """(N, 2) float64 in [0, 10]²: the graph's two slowest waves, as UMAP starts, and noise against coincidence.

    Where the graph falls apart or is too small for that, the two widest axes of the vectors (N, C) of the layers, which
    are not gone through else.
    """
    n = graph.shape[0]
    random = np.random.default_rng(seed)
    points = _slowest_waves(graph) if n > 10 else None
    points = _widest_axes(vectors, random) if points is None else points
    # A few far activations may take up most of a wave. By rank, everybody has room from the start.
    is_flat = np.ptp(points, axis=0) < 1e-6
    ranks = np.argsort(np.argsort(points, axis=0, kind="stable"), axis=0, kind="stable") / max(n - 1, 1)
    points = np.where(is_flat, random.random((n, 2)), ranks)
    return points * _START_SPAN + random.normal(scale=1e-4, size=(n, 2))


def _slowest_waves(graph: Graph) -> np.ndarray | None:
    """(N, 2) eigenvectors of the normalised Laplacian after the trivial one; None if islands or the solver forbid."""
    if scipy.sparse.csgraph.connected_components(graph, directed=False)[0] > 1:
        return None
    root = scipy.sparse.diags(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
    random = np.random.default_rng(0)  # the solver draws too, where rows that are all alike leave it no direction
    start = random.normal(size=graph.shape[0])
    try:
        values, waves = scipy.sparse.linalg.eigsh(
            (root @ graph @ root).astype(np.float64), k=3, which="LA", v0=start, tol=1e-4, ncv=40, maxiter=300,
            rng=random,
        )  # fmt: skip
    except scipy.sparse.linalg.ArpackNoConvergence:
        return None
    return waves[:, np.argsort(-values)[1:]]


def _widest_axes(vectors: Iterable[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """(N, 2) principal components of the layers' unit vectors side by side, by subspace iteration."""
    layers = [unit_rows(rows) for rows in vectors]
    layers = [rows - rows.mean(axis=0) for rows in layers]
    basis = random.normal(size=(len(layers[0]), 8)).astype(np.float32)
    for _ in range(8):
        basis = np.sum([rows @ (rows.T @ basis) for rows in layers], axis=0)
        basis, _ = np.linalg.qr(basis)
    left, sizes, _ = np.linalg.svd(sum(rows @ (rows.T @ basis) for rows in layers), full_matrices=False)
    points = np.zeros((len(left), 2))
    width = min(2, left.shape[1])
    points[:, :width] = left[:, :width] * np.sqrt(sizes[:width])
    return points


@numba.njit(fastmath=True, cache=True)
def _run_epoch(points, edges, random, curve, rate, epoch):
    """Draws ends of edges together and, five times as often, pushes a head off a random point, each step at most 4."""
    head, tail, interval, next_draw, next_negative = edges
    a, b = curve
    for e in range(head.shape[0]):
        if next_draw[e] > epoch:
            continue
        i, j = head[e], tail[e]
        dx, dy = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1]
        d2 = dx * dx + dy * dy
        if d2 > 0.0:
            d2b = d2**b
            force = -2.0 * a * b * d2b / (d2 * (a * d2b + 1.0))
            step_x = min(4.0, max(-4.0, force * dx)) * rate
            step_y = min(4.0, max(-4.0, force * dy)) * rate
            points[i, 0] += step_x
            points[i, 1] += step_y
            points[j, 0] -= step_x
            points[j, 1] -= step_y
        next_draw[e] += interval[e]

        gap = interval[e] / _NEGATIVE_SAMPLES
        count = int((epoch - next_negative[e]) / gap)
        for _ in range(count):
            # xorshift: each point has its own stream, so the order of layers changes nothing.
            state = random[i]
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            random[i] = state
            j = int(state % np.uint64(points.shape[0]))
            dx, dy = points[i, 0] - points[j, 0], points[i, 1] - points[j, 1]
            d2 = dx * dx + dy * dy
            if d2 > 0.0:
                force = 2.0 * b / ((0.001 + d2) * (a * d2**b + 1.0))
                points[i, 0] += min(4.0, max(-4.0, force * dx)) * rate
                points[i, 1] += min(4.0, max(-4.0, force * dy)) * rate
        next_negative[e] += count * gap
