"""Named parts of a map."""

from __future__ import annotations

import numpy as np

from actatlas.site.regions import clusters_on_map, regions_of
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


def test_a_region_is_named_by_the_class_that_its_cells_speak_for_above_all_others(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(12,))
    grid = atlas.layer("layer.0").grid(12)
    attributions = np.zeros_like(grid.attributions)
    attributions[:, [3, 6]] = np.random.default_rng(1).normal(0, 0.1, (len(grid), 2))
    attributions[:, 0] = 5  # what all cells speak for names no region
    left = grid.coordinates[:, 0] < 5
    attributions[left, 3] += 2
    attributions[~left, 6] += 2
    grid.__dict__["attributions"] = attributions
    regions = regions_of(grid)
    assert regions
    for region in regions:
        share = left[region.cells].mean()
        assert region.classes[0] == (3 if share > 0.5 else 6) and share in (0, 1)
        assert region.middle in region.cells and region.scores[0] > 0.5
    assert sum(len(region.cells) for region in regions) <= len(grid)


def test_a_network_without_classes_has_no_named_regions(tmp_path):
    grid = fake_atlas(tmp_path / "atlas", layers=1, sides=(6,)).layer("layer.0").grid(6)
    grid.__dict__["attributions"] = None
    assert regions_of(grid) == []
