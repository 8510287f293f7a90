"""Whose neighbours are found, of two sets that share photos."""

from __future__ import annotations

import numpy as np

from actatlas.projection.nearest import Pool, unit_rows, wholes_of
from actatlas.projection.reaching import ask, asked_of
from actatlas.projection.settings import ProjectionSettings


def pool(photos: list[int], seed: int) -> Pool:
    vectors = np.random.default_rng(seed).random((len(photos), 5)).astype(np.float32)
    return Pool(unit_rows(vectors), np.array(photos), np.arange(len(photos)))


def test_a_whole_is_the_mean_of_a_photo_s_activations_less_that_of_all_photos():
    pools = [pool([4, 2, 4, 4], 0), pool([9, 9, 7], 1)]
    wholes = wholes_of(pools)
    means = {}
    for one in pools:
        for photo in np.unique(one.photos):
            mean = one.unit[one.photos == photo].mean(axis=0)
            means[photo] = mean / np.linalg.norm(mean)
    usual = np.mean(list(means.values()), axis=0)
    for one, photos in zip(wholes, ([2, 4], [7, 9]), strict=True):
        assert one.photos.tolist() == photos
        for row, photo in zip(one.unit, photos, strict=True):
            want = means[photo] - usual
            np.testing.assert_allclose(row, want / np.linalg.norm(want), atol=1e-5)


def test_neighbours_are_of_both_sets_and_never_of_the_same_photo():
    own, new = pool([0, 0, 1, 1, 2], 0), pool([1, 1, 5, 5, 5], 1)  # photo 1 is of both
    settings, told = ProjectionSettings(), []
    asked = asked_of(own, settings)
    near = ask(own, new, asked, settings, told.append)
    numbers = {0: [0], 1: [1, 3], 2: [2]}  # own photos 0, 1, 2, then the new set's 1 and 5
    assert near.is_new.tolist() == [False, False, False, True, True]
    for row, of_photo, photo in zip(near.photos, near.of_photo, own.photos[asked], strict=True):
        of_whole = near.photos_of_photos[of_photo]
        for found in (row, of_whole):
            there = found[found >= 0]
            assert len(there) and not set(there.tolist()) & set(numbers[int(photo)])
        same = (own.photos == photo).sum() + (new.photos == photo).sum()
        assert (row >= 0).sum() == len(own) + len(new) - same
        assert (of_whole >= 0).sum() == len(near.is_new) - len(numbers[int(photo)])
    assert sum(told) == 2 * (len(own) + 3)
