"""Where an activation falls, and which activations are its nearest."""

from __future__ import annotations

import numpy as np

from actatlas.projection.nearest import Pool, unit_rows
from actatlas.projection.placing import placed


def test_the_nearest_are_of_other_photos_and_in_order():
    random = np.random.default_rng(0)
    vectors, photos = random.normal(size=(300, 12)), np.repeat(np.arange(60), 5)
    unit = unit_rows(vectors)
    pool = Pool(unit, photos, np.arange(300))
    indices, distances = pool.nearest(unit, photos, 7)
    whole = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    far = 1 - whole @ whole.T
    far[photos[:, None] == photos[None]] = np.inf
    np.testing.assert_allclose(distances, np.sort(far, axis=1)[:, :7], atol=2e-3)
    assert (photos[indices] != photos[:, None]).all()
    assert (np.diff(distances, axis=1) >= 0).all()


def test_rows_of_zeros_are_like_one_another_and_like_nothing_else():
    unit = unit_rows(np.array([[0, 0], [1, 0], [0, 0], [0, 2]]))
    _, distances = Pool(unit, np.arange(4), np.arange(4)).nearest(unit[:1], np.array([0]), 3)
    np.testing.assert_allclose(distances, [[0, 1, 1]])


def test_where_there_are_too_few_others_the_rest_is_infinitely_far():
    unit = unit_rows(np.eye(3))
    _, distances = Pool(unit, np.array([0, 0, 1]), np.arange(3)).nearest(unit[:1], np.array([0]), 3)
    np.testing.assert_allclose(distances, [[1, np.inf, np.inf]])


def test_neighbours_in_two_parts_of_the_map_place_an_activation_in_one_of_them():
    points = np.array([[0.1, 0.1]] * 6 + [[0.9, 0.9]] * 4) + np.random.default_rng(0).normal(scale=0.01, size=(10, 2))
    indices, distances = np.arange(10)[None], np.linspace(0.2, 0.3, 10)[None]
    (place,) = placed(points, indices, distances, together=4)
    assert np.linalg.norm(place - 0.1) < 0.03
    assert np.linalg.norm(points.mean(axis=0) - 0.1) > 0.3  # where a plain mean would be


def test_one_neighbour_alone_is_where_it_falls():
    points = np.array([[0.2, 0.7], [0.5, 0.5]])
    (place,) = placed(points, np.array([[0, 1]]), np.array([[0.1, np.inf]]), together=8)
    np.testing.assert_allclose(place, [0.2, 0.7], atol=1e-6)
