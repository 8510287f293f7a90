"""Groups of activations that one network keeps together: does the other keep them together too?

The group of an activation in a network is its 3k nearest there (k = 20), of other photos. How far it holds together in
a network is the share of its k innermost members' own k neighbours, in that network, that belong to the group. This
knows nothing of maps, of scales or of numbers of channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

GROUP = 3  # times as many as the neighbours that are compared


@dataclass(frozen=True)
class Holding:
    """How far each activation's group of one network holds together (N,) in that network itself, and in the other."""

    own: np.ndarray
    other: np.ndarray

    @property
    def lost(self) -> np.ndarray:
        return self.own - self.other


def holding(groups: np.ndarray, own: np.ndarray, other: np.ndarray) -> Holding:
    """groups: (N, 3k) nearest in a network, the nearest first; own, other: (N, k) neighbours there, and in the other"""
    inner = own.shape[1]
    ordered = np.sort(groups, axis=1)
    return Holding(_held(groups, ordered, own, inner), _held(groups, ordered, other, inner))


@numba.njit(parallel=True, cache=True)
def _held(groups, ordered, neighbours, inner):
    """ordered: the groups, each sorted"""
    n, k = neighbours.shape
    held = np.empty(n)
    for i in numba.prange(n):
        count = 0
        for p in range(inner):
            for q in range(k):
                j = neighbours[groups[i, p], q]
                at = np.searchsorted(ordered[i], j)
                if j == i or (at < ordered.shape[1] and ordered[i, at] == j):
                    count += 1
        held[i] = count / (inner * k)
    return held
