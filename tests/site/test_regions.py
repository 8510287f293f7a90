"""Named parts of a map."""

from __future__ import annotations

import numpy as np
import pytest

from actatlas.site.regions import as_arrays, clusters_on_map, photo_classes, regions_of, spoken_for
from actatlas.testing import fake_atlas


def test_clusters_are_what_speaks_alike_and_touches():
    columns, rows = np.meshgrid(np.arange(8), np.arange(6))
    coordinates = np.stack([columns.ravel(), rows.ravel()], axis=1)
    kind = np.where(coordinates[:, 0] < 3, 0, 1)
    profiles = np.eye(2)[kind] + np.random.default_rng(0).normal(0, 0.05, (48, 2))
    clusters = clusters_on_map(coordinates, profiles, 2)
    assert len(set(clusters[kind == 0])) == 1 and len(set(clusters[kind == 1])) == 1
    assert clusters.max() == 1


def test_clusters_never_join_what_does_not_touch():
    coordinates = np.array([[0, 0], [1, 0], [5, 5], [6, 5], [6, 6]])
    clusters = clusters_on_map(coordinates, np.ones((5, 3)), 1)
    assert clusters.tolist() == [0, 0, 1, 1, 1]


@pytest.fixture
def halved(tmp_path, monkeypatch):
    """A map whose left is of photos of class 3 and whose right of class 6; class 0 is everywhere."""
    grid = fake_atlas(tmp_path / "atlas", layers=1, sides=(12,)).layer("layer.0").grid(12)
    left = grid.coordinates[:, 0] < 5
    shares = np.random.default_rng(1).uniform(0, 0.02, (len(grid), len(grid.layer.atlas.labels)))
    shares[:, 0] = 1
    shares[left, 3] += 1
    shares[~left, 6] += 1
    grid.__dict__["kept_regions"] = None
    monkeypatch.setattr("actatlas.site.regions.photo_classes", lambda grid: shares / shares.sum(axis=1, keepdims=True))
    return grid, left


def test_a_region_is_named_by_the_class_of_which_it_has_more_photos_than_the_map(halved):
    grid, left = halved
    regions = regions_of(grid)
    assert regions
    for region in regions:
        share = left[region.cells].mean()
        assert region.classes == ((3,) if share > 0.5 else (6,)) and share in (0, 1)
        assert region.middle in region.cells and region.scores[0] >= 1.5
    assert sum(len(region.cells) for region in regions) <= len(grid)


def test_between_two_classes_a_region_keeps_only_names_that_its_cells_speak_for(halved, monkeypatch):
    grid, left = halved
    found = regions_of(grid)
    top = np.full((len(grid), 5), 1), np.ones((len(grid), 5))
    top[0][left, 4] = 3  # the left speaks for what its photos are of, the right does not
    monkeypatch.setattr(type(grid), "top_classes", lambda grid, n: top)
    kept = spoken_for(grid, found)
    assert kept and {region.classes for region in kept} == {(3,)}
    assert len(kept) == sum(region.classes == (3,) for region in found) < len(found)
    monkeypatch.setattr(type(grid), "top_classes", lambda grid, n: None)
    assert spoken_for(grid, found) == []


def test_an_atlas_without_activations_keeps_its_regions(halved):
    grid, _ = halved
    found = regions_of(grid)
    grid.__dict__["kept_regions"] = as_arrays(grid)
    for region, kept in zip(found, regions_of(grid), strict=True):
        np.testing.assert_array_equal(kept.cells, region.cells)
        assert (kept.middle, kept.classes) == (region.middle, region.classes)
        np.testing.assert_allclose(kept.scores, region.scores, rtol=1e-6)


def test_classes_of_a_cells_photos_count_by_its_activations_and_by_their_rank(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(6,))
    grid = atlas.layer("layer.0").grid(6)
    ids, classes = atlas.top_classes
    expected = np.zeros((len(grid), len(atlas.labels)))
    for k in range(len(grid)):
        for photo in grid.layer.places.image_ids[grid.members(k)]:
            crops = np.flatnonzero(ids == photo)
            for crop in crops:
                for rank, number in enumerate(classes[crop]):
                    expected[k, number] += 1 / (1 + rank) / len(crops)
    np.testing.assert_allclose(photo_classes(grid), expected / expected.sum(axis=1, keepdims=True), rtol=1e-5)


def test_a_network_without_classes_has_no_named_regions(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(6,))
    atlas.files.forget("predictions/")
    grid = type(atlas)(atlas.files).layer("layer.0").grid(6)
    grid.__dict__["kept_regions"] = None
    assert photo_classes(grid) is None and regions_of(grid) == []
