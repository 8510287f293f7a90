"""Which cells a second set of photos reaches as often as the atlas's own photos do, and which it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.ndimage
import scipy.sparse
import scipy.stats

from actatlas.projection.nearest import Pool, wholes_of
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
    """Of some activations of the atlas, and of their photos, the nearest of both sets together.

    Photos are numbered through both sets, the atlas's P first, then the new set's Q.

    asked: (n,) int64, which of the atlas's pool these are; of_photo: (n,) int64, of which asked photo each is
    photos: (n, k) int64, which photo each neighbour of an activation is of, −1 where there are no more
    photos_of_photos: (asked photos, m) int64, the neighbours of each photo as a whole, −1 where there are no more
    is_new: (P + Q,) bool
    expected: (n,) float64, the share of new ones among the neighbours, were both sets alike
    nearest_own: (n,) float32, cosine distance to the nearest of the atlas's own
    """

    asked: np.ndarray
    of_photo: np.ndarray
    photos: np.ndarray
    photos_of_photos: np.ndarray
    is_new: np.ndarray
    expected: np.ndarray
    nearest_own: np.ndarray


@dataclass(frozen=True)
class Reach:
    """Of the cells of one grid.

    asked: (K,) int64, activations that were asked
    values: (K,) float32, of their neighbours and, half and half, of those of their photos the share that is new, over
        what it would be, were both sets alike: 1 where they are, 0 where nothing new is near; NaN where none was asked
    p: (K,) float32, how often chance alone takes a cell as far from alike, false ones among many allowed for, or, times
        false_share / false_regions, makes a region as far off as the cell's anywhere on the map; 1 where none was asked
    states: (K,) of "unreached", "fewer", "alike", "more"
    """

    asked: np.ndarray
    values: np.ndarray
    p: np.ndarray
    states: np.ndarray


def asked_of(own: Pool, settings: ProjectionSettings) -> np.ndarray:
    """(n,) int64: which activations of the pool are asked, ascending."""
    random = np.random.default_rng((settings.seed, 1))
    return np.sort(random.choice(len(own), min(len(own), settings.most_asked), replace=False))


def ask(own: Pool, new: Pool, asked: np.ndarray, settings: ProjectionSettings, tick) -> Neighbours:
    """`tick` is told of each activation and each photo asked twice, once for either pool."""
    photos = own.photos[asked]
    found, nearest = _nearest_of_both((own, new), own.unit[asked], photos, settings.neighbors, tick)
    own_wholes, new_wholes = wholes_of([own, new])
    asked_photos, of_photo = np.unique(photos, return_inverse=True)
    whole = own_wholes.unit[np.searchsorted(own_wholes.photos, asked_photos)]
    of_wholes, _ = _nearest_of_both((own_wholes, new_wholes), whole, asked_photos, settings.photo_neighbors, tick)
    left_own = len(own) - _counts_of(own, photos)
    left_new = len(new) - _counts_of(new, photos)
    return Neighbours(
        asked=asked,
        of_photo=of_photo,
        photos=found,
        photos_of_photos=of_wholes,
        is_new=np.arange(len(own_wholes) + len(new_wholes)) >= len(own_wholes),
        expected=left_new / np.maximum(left_own + left_new, 1),
        nearest_own=nearest,
    )


def _nearest_of_both(
    pools: tuple[Pool, Pool], unit: np.ndarray, photos: np.ndarray, k: int, tick
) -> tuple[np.ndarray, np.ndarray]:
    """(n, k) int64 numbers of the neighbours' photos, −1 where there are no more, and (n,) the nearest of the first."""
    indices, distances = zip(*(pool.nearest(unit, photos, k, tick) for pool in pools), strict=True)
    numbers, start = [], 0
    for pool, nearest in zip(pools, indices, strict=True):
        distinct, number = np.unique(pool.photos, return_inverse=True)
        numbers.append(start + number[nearest])
        start += len(distinct)
    every = np.hstack(distances)
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    found = np.where(np.isfinite(every), np.hstack(numbers), -1)
    return np.take_along_axis(found, order, axis=1), distances[0][:, 0]


def reach_of(
    neighbours: Neighbours, cells: np.ndarray, squares: np.ndarray, side: int, settings: ProjectionSettings
) -> Reach:
    """cells: (n,) int64, which cell each asked activation is a member of, −1 where of none
    squares: (K,) int64, row · side + column of each cell on the map

    Photos as wholes are asked too, since they tell what a photo is of better than one place in it does. Chance: the
    photos are dealt to the two sets anew, each keeping its number, as often as `shuffles` says. Photos, not
    activations: those of one photo are alike. Where chance hardly ever does as much, photos are dealt more often, for a
    few clear cells among hundreds could not be told from chance else. And what is missing lies together on a map, so
    regions are asked too: how often chance makes one as far off, anywhere (Maris and Oostenveld 2007).
    """
    members = np.flatnonzero(cells >= 0)
    shape = len(squares), len(neighbours.is_new)
    asked = np.bincount(cells[members], minlength=len(squares))
    wanted = np.bincount(cells[members], neighbours.expected[members], len(squares)) / np.maximum(asked, 1)
    of_places = _shares(cells[members], neighbours.photos[members], shape)
    of_wholes = _shares(cells[members], neighbours.photos_of_photos[neighbours.of_photo[members]], shape)
    shares = (of_places + of_wholes) / 2
    found = shares @ neighbours.is_new.astype(np.float64)
    values = np.where(wanted > 0, found / np.where(wanted > 0, wanted, 1), np.nan)

    dealt = np.hstack(list(_dealt(shares, neighbours.is_new, settings.shuffles, settings.seed)))  # (K, shuffles)
    p = _chances([dealt], found)
    is_rare = p <= _RARE
    if 0 < is_rare.sum() < _RARE / settings.false_share * len(squares):  # so many more would be told as they are
        count = settings.shuffles * _MORE
        again = _dealt(shares[is_rare], neighbours.is_new, count, settings.seed + 1)
        p[is_rare] = _chances(again, found[is_rare])
    p[asked == 0] = 1.0
    adjusted = scipy.stats.false_discovery_control(p) if len(p) else p
    of_regions = _chances_of_regions(dealt, found, squares, side)
    adjusted = np.minimum(adjusted, of_regions * settings.false_share / settings.false_regions)
    states = _states(values, np.sign(found - dealt.mean(axis=1)), adjusted, settings)
    return Reach(asked, values.astype(np.float32), adjusted.astype(np.float32), states)


def _shares(cells: np.ndarray, photos: np.ndarray, shape: tuple[int, int]) -> scipy.sparse.csr_matrix:
    """(K, P + Q): of the neighbours (n, k) of a cell's activations (n,) the share that is each photo's."""
    rows, columns = np.repeat(cells, photos.shape[1]), photos.ravel()
    is_there = columns >= 0
    counted = np.ones(int(is_there.sum())), (rows[is_there], columns[is_there])
    counts = scipy.sparse.csr_matrix(counted, shape=shape)
    return scipy.sparse.diags(1 / np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1)) @ counts


def _states(values: np.ndarray, ways: np.ndarray, p: np.ndarray, settings: ProjectionSettings) -> np.ndarray:
    """ways: (K,) to which side of what chance gives the cells lie; told is what `values` say too."""
    differs = p <= settings.false_share
    found = np.full(len(p), "alike", object)
    found[differs & (ways < 0) & (values < 1)] = "fewer"
    found[differs & (ways < 0) & (values <= settings.unreached)] = "unreached"
    found[differs & (ways > 0) & (values > 1)] = "more"
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
