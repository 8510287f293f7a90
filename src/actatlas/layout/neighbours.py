"""UMAP's graph of one layer, without edges between activations of one photo.

With several activations a photo, an activation's nearest neighbours are its own photo's, and the map would fall into
islands of photos.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import umap.umap_

from actatlas.layout.search import Rows, as_unit, nearest_of_other_photos
from actatlas.layout.threads import begin_threads

# Up to here all pairs are compared: exact, and quicker than a search with its warming up.
_EXACT_ROWS = 30_000
# Up to here the graph is umap-learn's own; above, the same numbers by all threads.
_UMAP_ROWS = 50_000
_BLOCK_FLOATS = 1 << 24

Tick = Callable[[int], None]


def neighbour_graph(
    vectors: np.ndarray, image_ids: np.ndarray, neighbors: int, seed: int, tick: Tick
) -> tuple[scipy.sparse.csr_matrix, list[str]]:
    """The (N, N) symmetric fuzzy graph of UMAP, N ≥ 2, and remarks on what the data did not allow."""
    indices, distances, remarks = nearest_rows(vectors, image_ids, neighbors, seed, tick)
    graph, islands = graph_of(indices, distances)
    return graph, remarks + islands


def nearest_rows(
    vectors: np.ndarray, image_ids: np.ndarray, neighbors: int, seed: int, tick: Tick
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Of each of vectors (N, C), N ≥ 2, the k nearest by cosine that are of other photos: indices (N, k) int32 and
    cosine distances (N, k) float32, ascending; and remarks on what the data did not allow.

    Where too few other photos are there, the number of neighbours is lowered; with one photo its own are neighbours.
    """
    begin_threads()
    n, remarks = len(vectors), []
    _, photo, rows_per_photo = np.unique(image_ids, return_inverse=True, return_counts=True)
    if len(rows_per_photo) == 1:
        remarks.append("all activations are of one photo, so they are one another's neighbours")
        photo, rows_per_photo = np.arange(n), np.ones(n, np.int64)
    k = min(neighbors, n - int(rows_per_photo.max()))
    if k < neighbors:
        remarks.append(f"{k} neighbours instead of {neighbors}: there are no more activations of other photos")

    if n <= _EXACT_ROWS:
        unit = unit_rows(vectors)
        indices, distances = nearest_among(unit, photo, unit, photo, k, tick)
    else:
        rows = Rows(vectors)
        indices, distances = nearest_of_other_photos(rows, photo, k, seed)
        short = np.flatnonzero(indices[:, -1] < 0)
        if len(short):
            indices[short], distances[short] = _nearest_piece_by_piece(rows, photo, short, k)
        tick(n)
    alike = int((distances[:, -1] < 1e-6).sum())
    if alike:
        remarks.append(f"{alike:,} of {n:,} activations have only neighbours that equal them")
    return indices, distances, remarks


def _nearest_piece_by_piece(rows: Rows, photo: np.ndarray, asked: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """As `nearest_among`, of all rows for some of them, without all rows in memory as they are compared."""
    unit = as_unit(rows[asked])
    indices, distances = np.empty((len(asked), 0), np.int32), np.empty((len(asked), 0), np.float32)
    for start in range(0, len(rows), _EXACT_ROWS):
        part = slice(start, start + _EXACT_ROWS)
        found, far = nearest_among(as_unit(rows[part]), photo[part], unit, photo[asked], k)
        indices, distances = np.hstack([indices, found + np.int32(start)]), np.hstack([distances, far])
        order = np.argsort(distances, axis=1, kind="stable")[:, :k]
        indices, distances = np.take_along_axis(indices, order, axis=1), np.take_along_axis(distances, order, axis=1)
    return indices, distances


def graph_of(indices: np.ndarray, distances: np.ndarray) -> tuple[scipy.sparse.csr_matrix, list[str]]:
    """From `nearest_rows` (N, k) the (N, N) symmetric fuzzy graph of UMAP, and remarks."""
    begin_threads()
    graph = _fuzzy(indices, distances) if len(indices) <= _UMAP_ROWS else _fuzzy_of_many(indices, distances)
    islands, _ = scipy.sparse.csgraph.connected_components(graph, directed=False)
    if islands == 1:
        return graph, []
    return graph, [f"the neighbours form {islands:,} separate islands, whose distances on the map mean nothing"]


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """(N, C) float32 of length 1; as `Rows` has them where there are rows of zeros."""
    return as_unit(Rows(vectors)[:])


def nearest_among(
    pool: np.ndarray,
    pool_photo: np.ndarray,
    unit: np.ndarray,
    photo: np.ndarray,
    k: int,
    tick: Tick = lambda count: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Of unit rows (N, C) of photos (N,) the k nearest of the pool (M, C) that are of other photos (M,): all pairs.

    Indices (N, k) int32 and cosine distances (N, k) float32, ascending; infinite where there are no more. At most M.
    """
    n, k = len(pool), min(k, len(pool))
    indices, distances = np.empty((len(unit), k), np.int32), np.empty((len(unit), k), np.float32)
    block = max(1, _BLOCK_FLOATS // n)
    for start in range(0, len(unit), block):
        part = slice(start, start + block)
        similarity = unit[part] @ pool.T  # (block, M)
        similarity[photo[part, None] == pool_photo[None, :]] = -np.inf
        nearest = np.argpartition(similarity, n - k, axis=1)[:, n - k :]
        nearest.sort(axis=1)
        values = np.take_along_axis(similarity, nearest, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        indices[part] = np.take_along_axis(nearest, order, axis=1)
        distances[part] = np.maximum(1 - np.take_along_axis(values, order, axis=1), 0)
        tick(len(values))
    return indices, distances


def _fuzzy(indices: np.ndarray, distances: np.ndarray) -> scipy.sparse.csr_matrix:
    """umap-learn's fuzzy simplicial set. A row's first neighbour is itself there, which counts as one of them."""
    n, k = indices.shape
    own = np.arange(n, dtype=np.int32)[:, None]
    graph, _, _ = umap.umap_.fuzzy_simplicial_set(
        X=own,  # only its length is read, as the neighbours are given
        n_neighbors=k + 1,
        random_state=None,
        metric="cosine",
        knn_indices=np.hstack([own, indices]),
        knn_dists=np.hstack([np.zeros((n, 1), np.float32), distances]),
    )
    return graph.tocsr()


def _fuzzy_of_many(indices: np.ndarray, distances: np.ndarray) -> scipy.sparse.csr_matrix:
    """As `_fuzzy`."""
    n, k = indices.shape
    weights = _memberships(distances.astype(np.float32))
    starts = np.arange(0, n * k + 1, k, dtype=np.int64 if n * k >= 2**31 else np.int32)
    one_way = scipy.sparse.csr_matrix((weights.ravel(), indices.ravel().copy(), starts), shape=(n, n))
    one_way.sort_indices()
    other_way = one_way.T.tocsr()
    both = one_way.multiply(other_way).tocsr()
    either = one_way + other_way
    del one_way, other_way
    return (either - both).tocsr()


@numba.njit(parallel=True, cache=True)
def _memberships(distances):
    """(N, k): exp(−(d − ρ) / σ), ρ the nearest's distance and σ such that a row's sum is log2 of k + 1 (UMAP, 2018)."""
    n, k = distances.shape
    weights = np.empty((n, k), np.float32)
    goal = np.log2(k + 1.0)
    for i in numba.prange(n):
        nearest = np.float32(0)
        for p in range(k):
            if distances[i, p] > 0:
                nearest = distances[i, p]
                break
        low, high, sigma = 0.0, np.inf, 1.0
        for _ in range(48):
            total = 0.0
            for p in range(k):
                beyond = distances[i, p] - nearest
                total += np.exp(-beyond / sigma) if beyond > 0 else 1.0
            if abs(total - goal) < 1e-4:
                break
            if total > goal:
                high = sigma
                sigma = (low + high) / 2
            else:
                low = sigma
                sigma = sigma * 2 if high == np.inf else (low + high) / 2
        sigma = max(sigma, 1e-3 * distances[i].mean())
        for p in range(k):
            beyond = distances[i, p] - nearest
            weights[i, p] = np.exp(-beyond / sigma) if beyond > 0 else 1.0
    return weights
