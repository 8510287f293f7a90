"""How alike two networks see the same activations: neighbours that both have, and CKA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_DRAWS = 8
_GROUPS = 10
_MOST_PHOTOS = 10_000  # in one draw
_MOST_IN_KERNELS = 2_000  # rows
_LEAST = 5
_BLOCK = 8192


def neighbour_overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N,) float32: the share of each activation's neighbours (N, k) in one network that it has in the other too."""
    n, k = one.shape
    shared = np.empty(n, np.float32)
    for start in range(0, n, _BLOCK):
        part = slice(start, start + _BLOCK)
        both = np.sort(np.hstack([one[part], other[part]]), axis=1)  # no list names a row twice
        shared[part] = (both[:, 1:] == both[:, :-1]).sum(axis=1) / k
    return shared


def chance_overlap(image_ids: np.ndarray, k: int) -> float:
    """What two networks that have nothing in common would share: k of all activations of other photos."""
    _, photo, counts = np.unique(image_ids, return_inverse=True, return_counts=True)
    return float(np.mean(k / np.maximum(len(image_ids) - counts[photo], 1)))


@dataclass(frozen=True)
class Cka:
    """value: 1 for what differs by a rotation and a scale alone, 0 in the mean for what has nothing in common
    error: its standard error over photos, None of fewer than 20; photos: how many it is of
    """

    value: float
    error: float | None
    photos: int


def cka(one: np.ndarray, other: np.ndarray, image_ids: np.ndarray, seed: int) -> Cka | None:
    """Debiased linear CKA of the same activations (N, C) and (N, C'); None with fewer than 5 photos, or nothing varies.

    Kornblith et al. 2019 ("Similarity of neural network representations revisited"), with the unbiased estimator of
    HSIC of Song et al. 2012 ("Feature selection via dependence maximization", HSIC₁) in its three places, averaged over
    draws before they are divided, as Nguyen et al. 2021 ("Do wide and deep networks learn the same things?") do over
    batches. The estimator takes rows to be independent, and activations of one photo are not: a draw is one activation
    of each photo. The error is a jackknife's over ten groups of photos.
    """
    random = np.random.default_rng(seed)
    sums, groups = np.zeros(3), np.full((_GROUPS, 3), np.nan)
    for draw in range(_DRAWS):
        rows = _one_a_photo(image_ids, random)
        if len(rows) < _LEAST:
            return None
        pair = _Pair(one[rows].astype(np.float32), other[rows].astype(np.float32))
        sums += pair.three()
        if draw == 0 and len(rows) >= 2 * _GROUPS:
            group = random.permutation(len(rows)) % _GROUPS
            groups = np.array([pair.taken(np.flatnonzero(group != g)).three() for g in range(_GROUPS)])
    value = _ratio(sums)
    if value is None:
        return None
    without = np.array([_ratio(each) for each in groups], np.float64)
    error = float(np.sqrt((_GROUPS - 1) / _GROUPS * np.sum((without - without.mean()) ** 2)))
    return Cka(value, error if np.isfinite(error) else None, len(np.unique(image_ids)))


def hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al.'s unbiased estimator, of linear kernels of n ≥ 4 rows (n, C) and (n, C'), by way of the channels."""
    n = len(x)
    # Centred, which changes nothing but the size of what cancels; the kernels' rows then add up to 0.
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    k, l = (x**2).sum(axis=1, dtype=np.float64), (y**2).sum(axis=1, dtype=np.float64)  # noqa: E741  their diagonals
    both = float(np.sum((x.T @ y).astype(np.float64) ** 2)) - float(k @ l)
    return _unbiased(both, -k, -l, n)


def hsic_of_kernels(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741  the paper's letters
    """The same of kernels (n, n), whose diagonals are not looked at."""
    both = float(np.vdot(k, l)) - float(np.diag(k) @ np.diag(l))
    return _unbiased(both, k.sum(axis=1) - np.diag(k), l.sum(axis=1) - np.diag(l), len(k))


def _unbiased(both: float, k_rows: np.ndarray, l_rows: np.ndarray, n: int) -> float:
    """both: sum of the products of the kernels' entries off their diagonals; k_rows, l_rows: (n,) their rows' sums."""
    total = both + k_rows.sum() * l_rows.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * float(k_rows @ l_rows)
    return float(total / (n * (n - 3)))


class _Pair:
    """The same rows (n, C) and (n, C') in two networks; of few rows their kernels are taken once for all."""

    def __init__(self, x: np.ndarray, y: np.ndarray, kernels: tuple[np.ndarray, np.ndarray] | None = None):
        self._x, self._y = x, y
        if kernels is None and len(x) <= _MOST_IN_KERNELS:
            centred = [(each - each.mean(axis=0)) for each in (x, y)]
            kernels = tuple((each @ each.T).astype(np.float64) for each in centred)
        self._kernels = kernels

    def taken(self, rows: np.ndarray) -> _Pair:
        kernels = None if self._kernels is None else tuple(kernel[np.ix_(rows, rows)] for kernel in self._kernels)
        return _Pair(self._x[rows], self._y[rows], kernels)

    def three(self) -> np.ndarray:
        """(3,) HSIC of the two, and of each with itself."""
        if self._kernels is None:
            return np.array([hsic(self._x, self._y), hsic(self._x, self._x), hsic(self._y, self._y)])
        k, l = self._kernels  # noqa: E741
        return np.array([hsic_of_kernels(k, l), hsic_of_kernels(k, k), hsic_of_kernels(l, l)])


def _ratio(three: np.ndarray) -> float | None:
    return float(three[0] / np.sqrt(three[1] * three[2])) if three[1] > 0 and three[2] > 0 else None


def _one_a_photo(image_ids: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(n,) rows, ascending: one of each photo at random, of at most so many photos."""
    order = random.permutation(len(image_ids))
    _, first = np.unique(image_ids[order], return_index=True)
    rows = order[first]
    return np.sort(rows if len(rows) <= _MOST_PHOTOS else random.choice(rows, _MOST_PHOTOS, replace=False))
