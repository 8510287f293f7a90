"""UMAP's descent for many points: by all threads, and the same points however many there are.

The forces are those of `embedding.py`. What differs, so that threads need not wait for one another:

- A point is moved by one thread, by the edges and chance of its own; the others stand still until its group is done.
- Both ends of an edge draw it for themselves, so each moves twice as far as if the other moved too.
- The points that push others off are drawn for a whole group of points, not for each alone: they stay in the cache.
- A force is looked up by its distance, in steps of 3%.

No fastmath: with it, code that was just compiled and code from numba's cache round differently.

`docs/decisions/0016-layouts-of-millions.md` has what this costs and gains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from actatlas.layout.search import mixed

if TYPE_CHECKING:
    from actatlas.layout.embedding import Curve, Graph

_GROUPS = 4  # by turns: what is pulled both ways does not swing
_PUSHES = 5  # for each edge drawn, as UMAP's
_POOL = 4096  # points that push, a power of 2
_ROWS = 256  # in one task of a thread
# Squared distances from 2⁻³⁰ to 2¹⁶, 32 steps an octave: the upper 5 bits of a float32's fraction.
_STEPS, _LOW, _HIGH = 32, -30, 16
_FIRST, _SLOTS = (127 + _LOW) * _STEPS, (_HIGH - _LOW) * _STEPS
_MOST = np.float32(4.0)


class Crowd:
    """As `embedding.Optimiser`, for points (N, 2) float32."""

    def __init__(self, graph: Graph, curve: Curve, seed: int):
        self._starts, self._ends = graph.indptr.astype(np.int64), graph.indices.astype(np.int32, copy=False)
        self._drawn = np.empty(len(graph.data), np.float32)
        np.divide(graph.data, graph.data.max(), out=self._drawn, casting="same_kind")
        _sum_up(self._starts, self._drawn)
        self._forces = _force_tables(curve)
        self._seed = seed

    def run(self, points: np.ndarray, epoch: int, rate: float) -> None:
        """One epoch, in place."""
        key = np.uint64(self._seed) << np.uint64(32) | np.uint64(epoch)
        _run_epoch(points, (self._starts, self._ends, self._drawn), self._forces, np.float32(rate), key)


def _force_tables(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Pull and push at the middle of each step of squared distance, over the distance."""
    slots = np.arange(_SLOTS)
    d2 = 2.0 ** (_LOW + slots // _STEPS) * (1 + (slots % _STEPS + 0.5) / _STEPS)
    pull = 2 * curve.a * curve.b * d2 ** (curve.b - 1) / (1 + curve.a * d2**curve.b)
    push = 2 * curve.b / ((0.001 + d2) * (1 + curve.a * d2**curve.b))
    return pull.astype(np.float32), push.astype(np.float32)


@numba.njit(cache=True)
def _sum_up(starts, weights):
    """Running sums within each row, in place: one random number chooses edges in proportion to their weights then."""
    for i in range(starts.shape[0] - 1):
        total = np.float32(0)
        for e in range(starts[i], starts[i + 1]):
            total += weights[e]
            weights[e] = total


@numba.njit(inline="always")
def _slot(d2):
    return min(max((np.float32(d2).view(np.int32) >> 18) - _FIRST, 0), _SLOTS - 1)


@numba.njit(inline="always")
def _at_most(step):
    return min(_MOST, max(-_MOST, step))


@numba.njit(parallel=True, cache=True)
def _run_epoch(points, edges, forces, rate, key):
    n = points.shape[0]
    pool = np.empty((_POOL, 2), np.float32)
    moved = np.empty((n // _GROUPS + 1, 2), np.float32)
    for group in range(_GROUPS):
        for p in range(_POOL):
            j = int(mixed(mixed(key) + np.uint64(group * _POOL + p)) % np.uint64(n))
            pool[p, 0], pool[p, 1] = points[j, 0], points[j, 1]
        count = (n - group + _GROUPS - 1) // _GROUPS
        tasks = (count + _ROWS - 1) // _ROWS
        for task in numba.prange(tasks):
            for row in range(task * _ROWS, min(count, (task + 1) * _ROWS)):
                i = row * _GROUPS + group
                chance = mixed(mixed(key) + np.uint64(_GROUPS * _POOL) + np.uint64(i))
                x, y, draws = _pulled(points, i, edges, forces[0], rate, chance)
                push_x, push_y = _pushed(x, y, pool, forces[1], int(chance & np.uint64(_POOL - 1)), draws * _PUSHES)
                moved[row, 0], moved[row, 1] = x + push_x * rate, y + push_y * rate
        for row in numba.prange(count):
            points[row * _GROUPS + group, 0] = moved[row, 0]
            points[row * _GROUPS + group, 1] = moved[row, 1]


@numba.njit
def _pulled(points, i, edges, pull, rate, chance):
    """Where the edges that are drawn take point i, one after the other, and how many they were."""
    starts, ends, drawn = edges
    x, y = points[i, 0], points[i, 1]
    next_draw = np.float32(chance >> np.uint64(40)) * np.float32(1 / 16_777_216)
    draws = 0
    for e in range(starts[i], starts[i + 1]):
        while drawn[e] > next_draw:
            dx, dy = points[ends[e], 0] - x, points[ends[e], 1] - y
            d2 = dx * dx + dy * dy
            if d2 > 0:
                force = pull[_slot(d2)]
                x += _at_most(force * dx) * rate * np.float32(2)
                y += _at_most(force * dy) * rate * np.float32(2)
            next_draw += np.float32(1)
            draws += 1
    return x, y, draws


@numba.njit
def _pushed(x, y, pool, push, first, count):
    """The sum of the pushes of `count` points of the pool, from the `first` on."""
    push_x, push_y = np.float32(0), np.float32(0)
    for q in range(count):
        p = (first + q) & (_POOL - 1)
        dx, dy = x - pool[p, 0], y - pool[p, 1]
        force = push[_slot(dx * dx + dy * dy)]
        push_x += _at_most(force * dx)
        push_y += _at_most(force * dy)
    return push_x, push_y
