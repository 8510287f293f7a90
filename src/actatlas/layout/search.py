"""The nearest activations of other photos, for as many as a million activations.

Every activation is sketched: 128 numbers of 8 bits, so that a cosine costs nanoseconds. Trees of random cuts bring
alike sketches together, and neighbours of neighbours are tried until few are better (after Dong et al. 2011, "Efficient
k-nearest neighbor graph construction"). Only then are the best sketches' whole vectors compared. Pairs of one photo are
never looked at, which no library offers: with many activations a photo, its own would fill all lists.

Each activation's list is written by one thread, from the lists of the round before, so their number changes nothing.
"""

from __future__ import annotations

import numba
import numpy as np

_SKETCH = 128
_SAMPLE = 20_000  # activations from which the sketch's axes are learnt
_SPARE = 16  # so many more than asked for are kept while searching, for the whole vectors to choose from
_TREES, _LEAF = 8, 128
_ROUNDS, _TRIED, _BACK = 4, 15, 15
_FEW_BETTER = 0.5  # found in a round, of each activation: then the search ends
_BLOCK, _SMALL_BLOCK = 32_768, 4_096  # rows at once
_PIECE = 512  # channels of the whole vectors in memory at once
_ONE = 1 << 14  # of the whole vectors, as whole numbers: their dot products fit into 32 bits
_NONE = np.float32(-9.0)


def nearest_of_other_photos(rows: Rows, photo: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of N rows the k nearest rows by cosine whose photo (N,) is another: nearly all of them.

    Returns indices (N, k) int32 and cosine distances (N, k) float32, ascending. Where fewer than k were found, -1.
    """
    sketch, scale = _sketched(rows, seed)
    order, starts = _grown(sketch, scale, _LEAF, seed)
    # Rows that are alike lie side by side from here on, so what a thread needs next is likely near.
    sketch, scale, photo = sketch[order], scale[order], photo[order].astype(np.int32)
    # Of each row the best so far, best first: their rows or -1, the cosines of the sketches, whether found just now.
    shape = len(order), k + _SPARE
    lists = ids, _, is_new = np.full(shape, -1, np.int32), np.full(shape, _NONE, np.float32), np.zeros(shape, np.uint8)
    _join_leaves(sketch, scale, photo, np.arange(len(order), dtype=np.int32), starts, *lists)
    for tree in range(1, _TREES):
        members, starts = _grown(sketch, scale, _LEAF, seed + tree)
        _join_leaves(sketch, scale, photo, members, starts, *lists)
    for turn in range(_ROUNDS):
        before = ids.copy(), is_new.copy()
        back = _reversed(ids, _BACK, seed + turn)
        is_new[:] = 0
        better = _try_neighbours(sketch, scale, photo, lists, before, back, _TRIED)
        if better < _FEW_BETTER * len(order):
            break
    del sketch, before, back
    products = np.zeros(ids.shape, np.int32)
    for piece in np.array_split(np.arange(rows.width), -(-rows.width // _PIECE)):
        _add_products(_whole(rows, order, slice(piece[0], piece[-1] + 1)), ids, products)
    found, cosines = _chosen(ids, products, k)
    indices = np.full_like(found, -1)
    distances = np.full(found.shape, np.inf, np.float32)
    indices[order] = np.where(found >= 0, order[found], -1)
    distances[order] = np.where(found >= 0, np.maximum(1 - cosines, 0), np.inf)
    return indices, distances


class Rows:
    """Some of vectors (N, C) at a time, as (n, width) float32. A row of zeros has no direction: where there are some,
    a column more, in which they alone are 1, makes them like one another and nothing else.
    """

    def __init__(self, vectors: np.ndarray):
        self._vectors = vectors
        is_zero = np.logical_not(vectors.any(axis=1, keepdims=True))
        self._is_zero = is_zero if is_zero.any() else None
        self.width = vectors.shape[1] + (self._is_zero is not None)

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        part = self._vectors[rows].astype(np.float32)
        return part if self._is_zero is None else np.hstack([part, self._is_zero[rows].astype(np.float32)])


def _sketched(vectors: Rows, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 128) int8 and (N,) float32: near · far · scale · scale is nearly the cosine of two rows.

    The axes are those along which the unit vectors have most of their energy; each row is of length 1 there again.
    """
    n = len(vectors)
    rows = np.sort(np.random.default_rng(seed).choice(n, min(n, _SAMPLE), replace=False))
    sample = as_unit(vectors[rows])
    axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1][:, :_SKETCH]
    axes = np.pad(axes, ((0, 0), (0, max(_SKETCH - vectors.width, 0)))).astype(np.float32)
    sketch, scale = np.empty((n, _SKETCH), np.int8), np.empty(n, np.float32)
    for start in range(0, n, _BLOCK):
        part = slice(start, start + _BLOCK)
        along = as_unit(vectors[part] @ axes)
        step = np.maximum(np.abs(along).max(axis=1, keepdims=True), 1e-9) / 127
        sketch[part], scale[part] = np.rint(along / step), step[:, 0]
    return sketch, scale


def _whole(vectors: Rows, order: np.ndarray, channels: slice) -> np.ndarray:
    """(N, channels) int16, in this order: of unit vectors, in steps of 2⁻¹⁴."""
    rows = np.empty((len(order), channels.stop - channels.start), np.int16)
    for start in range(0, len(order), _SMALL_BLOCK):
        part = slice(start, start + _SMALL_BLOCK)
        rows[part] = np.rint(as_unit(vectors[order[part]])[:, channels] * _ONE)
    return rows


def as_unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


@numba.njit(inline="always")
def mixed(x):
    """64 bits that look random (MurmurHash3's finaliser)."""
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xFF51AFD7ED558CCD)
    x ^= x >> np.uint64(33)
    x *= np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(33))


@numba.njit
def _near(a, b):
    """Of two sketches. The width is known, and every step is 32 bits wide: it becomes a few instructions."""
    total = np.int32(0)
    for c in range(_SKETCH):
        total = np.int32(total + np.int32(np.int32(a[c]) * np.int32(b[c])))
    return total


@numba.njit(parallel=True, cache=True)
def _grown(sketch, scale, leaf, seed):
    """A tree of cuts between two random members of each node, at the middle: rows leaf by leaf, and leaves' starts."""
    n = sketch.shape[0]
    order = np.arange(n).astype(np.int32)
    side = np.empty(n, np.float32)
    starts = np.array([0, n])
    level = np.uint64(0)
    while starts[1] > leaf:
        nodes = starts.shape[0] - 1
        finer = np.empty(2 * nodes + 1, starts.dtype)
        finer[2 * nodes] = n
        for node in numba.prange(nodes):
            low, high = starts[node], starts[node + 1]
            state = mixed(np.uint64(seed) * np.uint64(1_000_003) + (np.uint64(node) << np.uint64(8)) + level)
            a = order[low + int(state % np.uint64(high - low))]
            b = order[low + int(mixed(state + np.uint64(1)) % np.uint64(high - low))]
            cut = np.empty(_SKETCH, np.int8)
            for c in range(_SKETCH):
                cut[c] = np.int8((np.int32(sketch[a, c]) - np.int32(sketch[b, c])) >> 1)
            for p in range(low, high):
                side[p] = _near(sketch[order[p]], cut) * scale[order[p]]
            middle = low + (high - low) // 2
            _halve(side, order, low, high, middle)
            finer[2 * node], finer[2 * node + 1] = low, middle
        starts = finer
        level += np.uint64(1)
    return order, starts


@numba.njit
def _halve(side, order, low, high, middle):
    """Reorders both between low and high, so that what lies before the middle is no larger than what follows."""
    left, right = low, high - 1
    while left < right:
        pivot = side[(left + right) >> 1]
        i, j = left, right
        while i <= j:
            while side[i] < pivot:
                i += 1
            while side[j] > pivot:
                j -= 1
            if i <= j:
                side[i], side[j] = side[j], side[i]
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle >= i:
            left = i
        else:
            return


@numba.njit
def _insert(ids, cosines, is_new, row, cosine):
    """Into one row's list, if it is better than the last there; whether it was."""
    last = ids.shape[0] - 1
    if cosine <= cosines[last]:
        return 0
    for p in range(last + 1):
        if ids[p] == row:
            return 0
    p = last
    while p > 0 and cosines[p - 1] < cosine:
        cosines[p], ids[p], is_new[p] = cosines[p - 1], ids[p - 1], is_new[p - 1]
        p -= 1
    cosines[p], ids[p], is_new[p] = cosine, row, 1
    return 1


@numba.njit(parallel=True, cache=True)
def _join_leaves(sketch, scale, photo, order, starts, ids, cosines, is_new):
    """All pairs within a leaf. A row is in one leaf, so leaves do not meet."""
    last = ids.shape[1] - 1
    for leaf in numba.prange(starts.shape[0] - 1):
        for p in range(starts[leaf], starts[leaf + 1]):
            i = order[p]
            for q in range(p + 1, starts[leaf + 1]):
                j = order[q]
                if photo[i] == photo[j]:
                    continue
                cosine = _near(sketch[i], sketch[j]) * (scale[i] * scale[j])
                if cosine > cosines[i, last]:
                    _insert(ids[i], cosines[i], is_new[i], j, cosine)
                if cosine > cosines[j, last]:
                    _insert(ids[j], cosines[j], is_new[j], i, cosine)


@numba.njit(cache=True)
def _reversed(ids, most, seed):
    """(N, most): rows in whose lists each row stands, drawn at random where there are more; -1 beyond the last."""
    n, k = ids.shape
    back = np.full((n, most), -1, np.int32)
    count = np.zeros(n, np.int32)
    for i in range(n):
        for p in range(k):
            j = ids[i, p]
            if j < 0:
                continue
            place = np.int64(count[j])
            if place >= most:
                place = np.int64(mixed(np.uint64(seed) + np.uint64(i * k + p)) % np.uint64(place + 1))
            if place < most:
                back[j, place] = i
            count[j] += 1
    return back


@numba.njit(parallel=True, cache=True)
def _try_neighbours(sketch, scale, photo, lists, before, back, tried):
    """Each row tries the first `tried` neighbours of its neighbours, in both directions; how many were better."""
    ids, cosines, is_new = lists
    old_ids, was_new = before
    n, k = ids.shape
    rows = 4096
    blocks = (n + rows - 1) // rows
    better = np.zeros(blocks, np.int64)
    for block in numba.prange(blocks):
        seen = np.full(n, -1, np.int32)
        for i in range(block * rows, min(n, (block + 1) * rows)):
            seen[i] = i
            for p in range(k):
                if old_ids[i, p] >= 0:
                    seen[old_ids[i, p]] = i
            for p in range(k + back.shape[1]):
                j = old_ids[i, p] if p < k else back[i, p - k]
                if j < 0:
                    continue
                is_fresh = p >= k or was_new[i, p] == 1
                for q in range(-1, tried):
                    t = j if q < 0 else old_ids[j, q]
                    # What both had in common before was tried before.
                    if t < 0 or seen[t] == i or not (q < 0 or is_fresh or was_new[j, q] == 1):
                        continue
                    seen[t] = i
                    if photo[i] == photo[t]:
                        continue
                    cosine = _near(sketch[i], sketch[t]) * (scale[i] * scale[t])
                    if cosine > cosines[i, k - 1]:
                        better[block] += _insert(ids[i], cosines[i], is_new[i], t, cosine)
    return better.sum()


@numba.njit(parallel=True, cache=True)
def _add_products(whole, ids, products):
    """To `products` (N, most) those of each row and its list's, over these channels: whole numbers, so exact."""
    n, most = ids.shape
    for i in numba.prange(n):
        for p in range(most):
            if ids[i, p] < 0:
                continue
            a, b = whole[i], whole[ids[i, p]]
            total = np.int32(0)
            for c in range(whole.shape[1]):
                total = np.int32(total + np.int32(np.int32(a[c]) * np.int32(b[c])))
            products[i, p] += total


@numba.njit(parallel=True, cache=True)
def _chosen(ids, products, k):
    """Of each row's list the k best by whole vectors: ids (N, k), cosines (N, k), best first."""
    n, most = ids.shape
    chosen, cosines = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    for i in numba.prange(n):
        found = np.empty(most, np.float32)
        for p in range(most):
            found[p] = products[i, p] / np.float32(_ONE * _ONE) if ids[i, p] >= 0 else _NONE
        best = np.argsort(-found, kind="mergesort")
        for p in range(k):
            chosen[i, p], cosines[i, p] = ids[i, best[p]], found[best[p]]
    return chosen, cosines
