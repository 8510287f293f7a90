"""A map of landmarks first, then of everybody: the layout of more than a few.

No two landmarks are neighbours, and everybody is a landmark or has one for a neighbour. They are laid out by the graph
that is left when each takes its followers' edges, itself from landmarks of landmarks; followers start beside theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numba
import numpy as np
import scipy.sparse

from actatlas.layout.crowd import Crowd
from actatlas.layout.embedding import Curve, Graph, descend, starting_points
from actatlas.layout.search import mixed

FEW = 3_000  # activations, or landmarks, that are laid out as a small map is
_FIRST_EPOCHS, _NEXT_EPOCHS = 200, 100
_FIRST_RATE, _NEXT_RATE = 1.0, 0.5
_SCATTER = 0.05  # of followers around their landmark


def landmark_start(graph: Graph, vectors: Iterable[np.ndarray], curve: Curve, seed: int) -> np.ndarray:
    """(N, 2) float32, from which few epochs of the whole graph (N, N) make a map.

    vectors: of each layer (N, C), gone through only where the landmarks' graph falls apart
    """
    graphs, leaders, rows = [graph], [], np.arange(graph.shape[0])
    while graphs[-1].shape[0] > FEW:
        leader, landmarks = _landmarks(graphs[-1].indptr, graphs[-1].indices, graphs[-1].data, seed + len(graphs))
        if len(landmarks) > 0.9 * len(leader):
            break  # islands of few: nothing is gained by going on
        graphs.append(_between(graphs[-1], leader, len(landmarks)))
        leaders.append(leader)
        rows = rows[landmarks]

    points = starting_points(graphs[-1], _of_rows(vectors, rows), seed).astype(np.float32)
    for level in range(len(graphs) - 1, 0, -1):
        is_first = level == len(graphs) - 1
        epochs, rate = (_FIRST_EPOCHS, _FIRST_RATE) if is_first else (_NEXT_EPOCHS, _NEXT_RATE)
        descend(points, Crowd(graphs[level], curve, seed + level), epochs, rate)
        points = _around(points, leaders[level - 1], graphs[level - 1], seed + level)
    return points


def _of_rows(vectors: Iterable[np.ndarray], rows: np.ndarray) -> Iterator[np.ndarray]:
    for layer in vectors:
        few = layer[rows]
        del layer  # before the next is read
        yield few


def _between(graph: Graph, leader: np.ndarray, count: int) -> Graph:
    """(count, count): the edges between landmarks' followers, over the root of what each landmark has in all.

    graph: (N, N), symmetric
    """
    n = len(leader)
    of = scipy.sparse.csr_matrix((np.ones(n, np.float32), leader, np.arange(n + 1)), shape=(n, count))
    # Followers' edges first: `of.T @ graph` would make a copy of the whole graph by columns.
    between = of.T.tocsr() @ (graph @ of)
    between.setdiag(0)
    between.eliminate_zeros()
    total = np.asarray(between.sum(axis=1)).ravel()
    root = (1 / np.sqrt(np.where(total > 0, total, 1))).astype(np.float32)
    between.data *= np.repeat(root, np.diff(between.indptr))
    between.data *= root[between.indices]
    return between


def _around(points: np.ndarray, leader: np.ndarray, graph: Graph, seed: int) -> np.ndarray:
    """(N, 2) float32: followers scattered about their landmarks, then each amid its neighbours."""
    random = np.random.default_rng(seed)
    scattered = points[leader] + random.normal(scale=_SCATTER, size=(len(leader), 2))
    total = np.asarray(graph.sum(axis=1))
    amid = np.where(total > 0, (graph @ scattered) / np.where(total > 0, total, 1), scattered)
    return (amid + random.normal(scale=1e-3, size=amid.shape)).astype(np.float32)


@numba.njit(cache=True)
def _landmarks(starts, ends, weights, seed):
    """(N,) the number of each row's landmark, its nearest, and the landmarks' rows. Chance says who is asked first."""
    n = starts.shape[0] - 1
    chance = np.empty(n, np.uint64)
    for i in range(n):
        chance[i] = mixed(np.uint64(seed) * np.uint64(1_000_003) + np.uint64(i))
    leader = np.full(n, -1, np.int32)
    is_covered = np.zeros(n, np.bool_)
    rows = np.empty(n, np.int64)
    count = 0
    for i in np.argsort(chance, kind="mergesort"):
        if not is_covered[i]:
            rows[count], leader[i], is_covered[i] = i, count, True
            count += 1
            for e in range(starts[i], starts[i + 1]):
                is_covered[ends[e]] = True
    for i in range(n):
        best = -np.inf
        if leader[i] >= 0 and rows[leader[i]] == i:
            continue
        for e in range(starts[i], starts[i + 1]):
            j = ends[e]
            if leader[j] >= 0 and rows[leader[j]] == j and weights[e] > best:
                best, leader[i] = weights[e], leader[j]
    return leader, rows[:count]
