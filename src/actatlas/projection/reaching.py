"""Which cells a second set of photos reaches as often as the atlas's own photos do, and which it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.sparse
import scipy.stats

from actatlas.projection.nearest import Pool
from actatlas.projection.settings import ProjectionSettings

_DEALT_AT_ONCE = 1 << 23  # photos, over all shuffles that are looked at together
# Cells that chance takes as far no more often than this are looked at again, with so many times the shuffles, all new.
_RARE, _MORE = 0.01, 20
# A region is of cells beside one another, at a corner too, that are so many standard deviations from what chance gives:
# one in a hundred, to either side.
_FAR = 2.33
_BESIDE = np.stack([np.zeros((3, 3), int), np.ones((3, 3), int), np.zeros((3, 3), int)])  # not from shuffle to shuffle
_SQUARES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Neighbours:
    """Of some activations of the atlas the nearest of both sets together.

    asked: (n,) int64, which of the atlas's pool these are
    photos: (n, k) int64, which photo each neighbour is of, numbered through both sets, the atlas's P first
    is_new: (P + Q,) bool, by that number
    expected: (n,) float64, the share of new ones among the neighbours, were both sets alike
    own_distances, own_indices: (n, k), of the atlas's alone
    """

    asked: np.ndarray
    photos: np.ndarray
    is_new: np.ndarray
    expected: np.ndarray
    own_distances: np.ndarray
    own_indices: np.ndarray


@dataclass(frozen=True)
class Reach:
    """Of the cells of one grid.

    asked: (K,) int64, activations that were asked
    values: (K,) float32, of their neighbours the share that is new over what it would be, were both sets alike: 1 where
        they are, 0 where nothing new is near; NaN where none was asked
    p: (K,) float32, how often chance alone takes a cell as far from 1, false ones among many allowed for, or, times
        false_share / false_regions, makes a region as far off as the cell's anywhere on the map; 1 where none was asked
    states: (K,) of "unreached", "fewer", "alike", "more"
    """

    asked: np.ndarray
    values: np.ndarray
    p: np.ndarray
    states: np.ndarray


def ask(own: Pool, new: Pool, settings: ProjectionSettings, tick) -> Neighbours:
    random = np.random.default_rng((settings.seed, 1))
    count = min(len(own), settings.most_asked)
    asked = np.sort(random.choice(len(own), count, replace=False))
    unit, photos, k = own.unit[asked], own.photos[asked], settings.neighbors
    own_indices, own_distances = own.nearest(unit, photos, k, tick)
    new_indices, new_distances = new.nearest(unit, photos, k, tick)
    of_own, own_numbers = np.unique(own.photos, return_inverse=True)
    of_new, new_numbers = np.unique(new.photos, return_inverse=True)
    found = np.hstack([own_numbers[own_indices], len(of_own) + new_numbers[new_indices]])
    order = np.argsort(np.hstack([own_distances, new_distances]), axis=1, kind="stable")[:, :k]
    left_own = len(own) - _counts_of(own, photos)
    left_new = len(new) - _counts_of(new, photos)
    return Neighbours(
        asked=asked,
        photos=np.take_along_axis(found, order, axis=1),
        is_new=np.arange(len(of_own) + len(of_new)) >= len(of_own),
        expected=left_new / np.maximum(left_own + left_new, 1),
        own_distances=own_distances,
        own_indices=own_indices,
    )


def reach_of(
    neighbours: Neighbours, cells: np.ndarray, squares: np.ndarray, side: int, settings: ProjectionSettings
) -> Reach:
    """cells: (n,) int64, which cell each asked activation is a member of, −1 where of none
    squares: (K,) int64, row · side + column of each cell on the map

    Chance: the photos are dealt to the two sets anew, each keeping its number, as often as `shuffles` says. Photos, not
    activations: those of one photo are alike. Where chance hardly ever does as much, they are dealt more often, for a
    few clear cells among hundreds could not be told from chance else. And what is missing lies together on a map, so
    regions are asked too: how often chance makes one as far off, anywhere (Maris and Oostenveld 2007).
    """
    cell_count = len(squares)
    members = np.flatnonzero(cells >= 0)
    asked = np.bincount(cells[members], minlength=cell_count)
    wanted = np.bincount(cells[members], neighbours.expected[members], cell_count) / np.maximum(asked, 1)
    k = neighbours.photos.shape[1]
    # (K, P + Q): of a cell's neighbours the share that is each photo's
    pairs = np.repeat(cells[members], k), neighbours.photos[members].ravel()
    shape = cell_count, len(neighbours.is_new)
    shares = scipy.sparse.csr_matrix((np.ones(len(pairs[0])), pairs), shape=shape)
    shares = scipy.sparse.diags(1 / np.maximum(asked * k, 1)) @ shares
    found = shares @ neighbours.is_new.astype(np.float64)
    dealt = np.hstack(list(_dealt(shares, neighbours.is_new, settings.shuffles, settings.seed)))  # (K, shuffles)
    p = _chances([dealt], found)
    is_rare = p <= _RARE
    if 0 < is_rare.sum() < _RARE / settings.false_share * cell_count:  # so many more would be told as they are
        count = settings.shuffles * _MORE
        again = _dealt(shares[is_rare], neighbours.is_new, count, settings.seed + 1)
        p[is_rare] = _chances(again, found[is_rare])
    p[asked == 0] = 1.0
    adjusted = scipy.stats.false_discovery_control(p) if len(p) else p
    of_regions = _chances_of_regions(dealt, found, squares, side)
    adjusted = np.minimum(adjusted, of_regions * settings.false_share / settings.false_regions)
    values = np.where(wanted > 0, found / np.where(wanted > 0, wanted, 1), np.nan)
    return Reach(asked, values.astype(np.float32), adjusted.astype(np.float32), _states(values, adjusted, settings))


def _states(values: np.ndarray, p: np.ndarray, settings: ProjectionSettings) -> np.ndarray:
    differs = p <= settings.false_share
    found = np.full(len(p), "alike", object)
    found[differs & (values < 1)] = "fewer"
    found[differs & (values <= settings.unreached)] = "unreached"
    found[differs & (values > 1)] = "more"
    return found


def _dealt(shares: scipy.sparse.csr_matrix, is_new: np.ndarray, shuffles: int, seed: int) -> Iterator[np.ndarray]:
    """(K, some), until there are so many shuffles: of each cell's neighbours the share that is new."""
    used = np.unique(shares.indices)
    shares, new_count = shares[:, used], int(is_new.sum())
    random = np.random.default_rng((seed, 2))
    at_once = max(_DEALT_AT_ONCE // max(len(used), 1), 1)
    for start in range(0, shuffles, at_once):
        count = min(at_once, shuffles - start)
        of_used = random.hypergeometric(new_count, len(is_new) - new_count, len(used), count)  # new ones, each time
        dealt = random.permuted(np.arange(len(used)) < of_used[:, None], axis=1)  # (count, used)
        yield shares @ dealt.T.astype(np.float64)


def _chances(dealt: Iterable[np.ndarray], found: np.ndarray) -> np.ndarray:
    """(K,): how often shuffled photos take a cell as far from what is expected as was found; two-sided."""
    as_few, as_many, shuffles = np.ones(len(found)), np.ones(len(found)), 0
    for by_chance in dealt:
        as_few += (by_chance <= found[:, None] + 1e-9).sum(axis=1)
        as_many += (by_chance >= found[:, None] - 1e-9).sum(axis=1)
        shuffles += by_chance.shape[1]
    return np.minimum(1.0, 2 * np.minimum(as_few, as_many) / (shuffles + 1))


def _chances_of_regions(dealt: np.ndarray, found: np.ndarray, squares: np.ndarray, side: int) -> np.ndarray:
    """(K,): how often shuffled photos make a region anywhere that weighs as much as the cell's; 1 where it is in none.

    A region weighs the sum of its cells' standard deviations from what chance gives. Two-sided.
    """
    usual, spread = dealt.mean(axis=1, keepdims=True), np.maximum(dealt.std(axis=1, keepdims=True), 1e-9)
    p, at_once = np.ones(len(found)), max(_SQUARES_AT_ONCE // side**2, 1)
    for sign in (-1, 1):
        (own,) = _weights_of_regions(sign * (found[:, None] - usual) / spread, squares, side)
        by_chance = np.concatenate([
            _weights_of_regions(sign * (dealt[:, start : start + at_once] - usual) / spread, squares, side).max(axis=1)
            for start in range(0, dealt.shape[1], at_once)
        ])  # fmt: skip
        as_much = 1 + (by_chance >= own[:, None] - 1e-9).sum(axis=1)
        p = np.where(own > 0, np.minimum(p, 2 * as_much / (len(by_chance) + 1)), p)
    return p


def _weights_of_regions(deviations: np.ndarray, squares: np.ndarray, side: int) -> np.ndarray:
    """deviations: (K, maps). (maps, K): what the region weighs that a cell lies in, 0 where it lies in none."""
    far = np.where(deviations >= _FAR, deviations, 0).T
    board = np.zeros((len(far), side * side), bool)
    board[:, squares] = far > 0
    regions, count = scipy.ndimage.label(board.reshape(-1, side, side), _BESIDE)
    region = regions.reshape(len(far), -1)[:, squares]
    return np.bincount(region.ravel(), far.ravel(), count + 1)[region]


def _counts_of(pool: Pool, photos: np.ndarray) -> np.ndarray:
    """(n,) how many activations of the pool are of each of these photos."""
    known, counts = np.unique(pool.photos, return_counts=True)
    if not len(known):
        return np.zeros(len(photos), np.int64)
    place = np.minimum(np.searchsorted(known, photos), len(known) - 1)
    return np.where(known[place] == photos, counts[place], 0)
