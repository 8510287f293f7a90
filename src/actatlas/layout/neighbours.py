"""UMAP's graph of one layer, without edges between activations of one photo.

With several activations a photo, an activation's nearest neighbours are its own photo's, and the map would fall into
islands of photos.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pynndescent
import scipy.sparse
import scipy.sparse.csgraph
import umap.umap_

# Up to here all pairs are compared: exact, and quicker than an approximate index with its warming up.
_EXACT_ROWS = 30_000
# An approximate query asks for this many more at most; who is short afterwards is compared with everybody.
_SPARE = 48
_BLOCK_FLOATS = 1 << 24

Tick = Callable[[int], None]


def neighbour_graph(
    vectors: np.ndarray, image_ids: np.ndarray, neighbors: int, seed: int, tick: Tick
) -> tuple[scipy.sparse.csr_matrix, list[str]]:
    """The (N, N) symmetric fuzzy graph of UMAP, N ≥ 2, and remarks on what the data did not allow.

    Where too few other photos are there, the number of neighbours is lowered; with one photo its own are neighbours.
    """
    n, remarks = len(vectors), []
    _, photo, rows_per_photo = np.unique(image_ids, return_inverse=True, return_counts=True)
    if len(rows_per_photo) == 1:
        remarks.append("all activations are of one photo, so they are one another's neighbours")
        photo, rows_per_photo = np.arange(n), np.ones(n, np.int64)
    k = min(neighbors, n - int(rows_per_photo.max()))
    if k < neighbors:
        remarks.append(f"{k} neighbours instead of {neighbors}: there are no more activations of other photos")

    unit = unit_rows(vectors)
    if n <= _EXACT_ROWS:
        indices, distances = _exact(unit, photo, np.arange(n), k, tick)
    else:
        indices, distances = _approximate(unit, photo, k, int(rows_per_photo.max()) - 1, seed)
        tick(n)
    alike = int((distances[:, -1] < 1e-6).sum())
    if alike:
        remarks.append(f"{alike:,} of {n:,} activations have only neighbours that equal them")
    graph = _fuzzy(indices, distances)
    islands, _ = scipy.sparse.csgraph.connected_components(graph, directed=False)
    if islands > 1:
        remarks.append(f"the neighbours form {islands:,} separate islands, whose distances on the map mean nothing")
    return graph, remarks


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """(N, C) float32 of length 1; if there are rows of zeros, one column more in which they alone are 1."""
    rows = vectors.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    is_zero = lengths[:, 0] == 0
    rows /= np.where(lengths == 0, 1, lengths)
    return np.hstack([rows, is_zero[:, None].astype(np.float32)]) if is_zero.any() else rows


def _exact(unit: np.ndarray, photo: np.ndarray, rows: np.ndarray, k: int, tick: Tick) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest rows of other photos for each of `rows` (R,): indices and cosine distances (R, k), ascending."""
    n = len(unit)
    indices, distances = np.empty((len(rows), k), np.int32), np.empty((len(rows), k), np.float32)
    block = max(1, _BLOCK_FLOATS // n)
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        similarity = unit[part] @ unit.T  # (block, N)
        similarity[photo[part, None] == photo[None, :]] = -np.inf
        nearest = np.argpartition(similarity, n - k, axis=1)[:, n - k :]
        nearest.sort(axis=1)
        values = np.take_along_axis(similarity, nearest, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        indices[start : start + block] = np.take_along_axis(nearest, order, axis=1)
        distances[start : start + block] = np.maximum(1 - np.take_along_axis(values, order, axis=1), 0)
        tick(len(part))
    return indices, distances


def _approximate(
    unit: np.ndarray, photo: np.ndarray, k: int, own_count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `_exact` for all rows, by nearest-neighbour descent: its neighbours less those of the own photo."""
    # One job: with more, the index differs from run to run.
    index = pynndescent.NNDescent(
        unit, metric="dot", n_neighbors=k + 1 + min(own_count, _SPARE), random_state=seed, n_jobs=1, low_memory=True
    )
    found, distances = index.neighbor_graph
    is_other = (found >= 0) & (photo[found] != photo[:, None])
    order = np.argsort(~is_other, axis=1, kind="stable")[:, :k]  # others first, nearest first
    short = np.flatnonzero(is_other.sum(axis=1) < k)
    indices = np.take_along_axis(found, order, axis=1).astype(np.int32)
    distances = np.take_along_axis(distances, order, axis=1).astype(np.float32)
    if len(short):
        indices[short], distances[short] = _exact(unit, photo, short, k, lambda count: None)
    return indices, np.maximum(distances, 0)


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
