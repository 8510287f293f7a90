"""Neighbours in common and CKA, by their definitions."""

import numpy as np
import pytest

from actatlas.comparison.groups import holding
from actatlas.comparison.likeness import chance_overlap, cka, hsic, hsic_of_kernels, neighbour_overlap
from actatlas.comparison.photos import CellPhotos, discoveries

N = 60


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_hsic_is_song_and_others_unbiased_estimator(random):
    x, y = random.normal(size=(N, 5)) + 3, random.normal(size=(N, 9))
    k, l = x @ x.T, y @ y.T  # noqa: E741
    bare, other = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))
    one = np.ones(N)
    expected = (
        np.trace(bare @ other)
        + (one @ bare @ one) * (one @ other @ one) / ((N - 1) * (N - 2))
        - 2 / (N - 2) * (one @ bare @ other @ one)
    ) / (N * (N - 3))
    assert hsic(x, y) == pytest.approx(expected) and hsic_of_kernels(k, l) == pytest.approx(expected)


@pytest.mark.parametrize("channels", [4, 200])
def test_cka_knows_no_rotation_no_scale_and_no_shift(random, channels):
    x = random.normal(size=(N, channels))
    turn, _ = np.linalg.qr(random.normal(size=(channels, channels)))
    found = cka(x, 5 * x @ turn + 2, np.arange(N), seed=0)
    assert found.value == pytest.approx(1, abs=1e-4) and found.photos == N
    assert cka(x, 5 * x @ turn + 2, np.arange(N), seed=0) == found, "the same seed, the same number"


def test_cka_of_what_has_nothing_in_common_is_nothing_also_with_many_channels(random):
    pairs = [(random.normal(size=(N, 300)), random.normal(size=(N, 300))) for _ in range(20)]
    found = np.array([cka(x, y, np.arange(N), seed=0).value for x, y in pairs])
    assert abs(found.mean()) < 0.02 and (np.abs(found) < 0.1).all()
    centred = [tuple(each - each.mean(axis=0) for each in pair) for pair in pairs]
    biased = [((x.T @ y) ** 2).sum() / np.sqrt(((x.T @ x) ** 2).sum() * ((y.T @ y) ** 2).sum()) for x, y in centred]
    assert np.mean(biased) > 0.7, "the plain one calls these alike: 300 channels of 60 photos"


def test_rows_of_one_photo_are_no_further_evidence(random):
    """Eight activations of each photo, all of which say what photo it is, and nothing else in common."""
    photo = np.repeat(np.arange(N), 8)
    x, y = (random.normal(size=(N, 40))[photo] + 0.1 * random.normal(size=(8 * N, 40)) for _ in range(2))
    assert abs(cka(x, y, photo, seed=0).value) < 0.1
    assert cka(x, y, np.arange(8 * N), seed=0).value > 0.3, "taken for photos of their own they seem alike"


def test_the_error_is_as_large_as_the_spread_over_other_photos(random):
    mix = random.normal(size=(6, 6))
    found = []
    for _ in range(40):
        x = random.normal(size=(N, 6))
        found.append(cka(x, x @ mix + random.normal(size=(N, 6)), np.arange(N), seed=0))
    spread = np.std([each.value for each in found])
    assert 0.5 < np.mean([each.error for each in found]) / spread < 2


def test_few_photos_have_no_cka(random):
    x = random.normal(size=(40, 6))
    assert cka(x, x, np.arange(40) % 4, seed=0) is None
    assert cka(x, x, np.arange(40) % 10, seed=0).error is None


def test_overlap_is_the_share_of_neighbours_in_both(random):
    one = np.array([[1, 2, 3, 4], [0, 2, 3, 4]])
    other = np.array([[4, 3, 9, 8], [5, 6, 7, 8]])
    assert neighbour_overlap(one, other).tolist() == [0.5, 0.0]
    assert neighbour_overlap(one, one).tolist() == [1.0, 1.0]


def test_chance_overlap_is_what_neighbours_drawn_at_random_share(random):
    image_ids, k = np.repeat(np.arange(50), 4), 20
    lists = [
        np.array([random.choice(np.flatnonzero(image_ids != i), k, replace=False) for i in image_ids]) for _ in range(2)
    ]
    assert neighbour_overlap(*lists).mean() == pytest.approx(chance_overlap(image_ids, k), abs=0.01)


def test_a_group_holds_together_as_far_as_its_members_neighbours_lie_in_it():
    near = np.array([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]])
    apart = np.array([[3, 4], [4, 5], [3, 5], [0, 1], [1, 2], [0, 2]])
    groups = np.array([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]])
    found = holding(groups, near, apart)
    assert found.own.tolist() == [1.0] * 6 and found.other.tolist() == [0.0] * 6


def test_of_what_is_told_by_chance_alone_little_is_told(random):
    told = [discoveries(random.random(300), 0.05).any() for _ in range(400)]
    assert np.mean(told) < 0.08
    p = np.concatenate([np.full(30, 1e-4), random.random(270)])
    found = discoveries(p, 0.05)
    assert found[:30].all() and found[30:].sum() <= 5


def test_a_photo_counts_once_however_many_activations_it_has():
    cell, photo = np.zeros(12, np.int64), np.array([0] * 9 + [1, 2, 3])
    at = CellPhotos(cell, photo, 1)
    values = np.array([8.0] * 9 + [0.0, 0.0, 0.0])
    assert at.average(values).tolist() == [2.0] and at.photos.tolist() == [4]
