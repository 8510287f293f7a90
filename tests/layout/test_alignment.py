"""Regions keep their places from layer to layer, at little cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from actatlas.layout import LayoutSettings, lay_out
from actatlas.progress import Silent

SETTINGS = LayoutSettings(neighbors=12)
KINDS = 24


@pytest.fixture(scope="module")
def layers():
    """Three layers of 1,200 activations of 24 kinds; the kinds that resemble each other differ from layer to layer."""
    random = np.random.default_rng(0)
    kind = np.arange(1200) % KINDS
    vectors = {}
    for layer in range(3):
        family = random.permutation(KINDS) // 4
        centres = random.gamma(0.5, 1.0, (6, 32))[family] + random.gamma(0.5, 0.7, (KINDS, 32))
        vectors[f"layer{layer}"] = (centres[kind] + random.gamma(0.5, 0.4, (1200, 32))).astype(np.float16)
    image_ids = np.arange(1200)
    aligned, alone = (
        [layout.points for layout in lay_out(vectors, image_ids, s, Silent()).values()]
        for s in (SETTINGS, replace(SETTINGS, align=False))
    )
    return vectors, kind, aligned, alone


def turned(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Orthogonal Procrustes: turned, mirrored and shifted, not stretched."""
    both = ~(np.isnan(points) | np.isnan(onto)).any(axis=1)
    middle, goal = points[both].mean(axis=0), onto[both].mean(axis=0)
    left, _, right = np.linalg.svd((points[both] - middle).T @ (onto[both] - goal))
    return (points - middle) @ left @ right + goal


def displacement(first: np.ndarray, second: np.ndarray, kind: np.ndarray) -> float:
    """Mean way between a kind's centres in two layouts, in sides of the map."""
    ways = [np.nanmean(first[kind == k], axis=0) - np.nanmean(second[kind == k], axis=0) for k in range(KINDS)]
    return float(np.linalg.norm(ways, axis=1).mean())


def purity(points: np.ndarray, kind: np.ndarray, side: int = 10) -> float:
    """Mean share of an activation's cell that is of its kind."""
    inside = ~np.isnan(points).any(axis=1)
    cell = np.minimum(np.floor(points[inside] * side), side - 1) @ [1, side]
    same = (cell[:, None] == cell) & (kind[inside][:, None] == kind[inside])
    return float((same.sum(axis=1) / (cell[:, None] == cell).sum(axis=1)).mean())


def test_regions_keep_their_places_between_layers(layers):
    _, kind, aligned, alone = layers
    for i in range(2):
        independent = displacement(turned(alone[i], alone[i + 1]), alone[i + 1], kind)
        assert independent > 0.1
        assert displacement(aligned[i], aligned[i + 1], kind) < 0.5 * independent


def test_alignment_keeps_what_a_layer_puts_together(layers):
    _, kind, aligned, alone = layers
    shuffled = np.random.default_rng(0).permutation(kind)
    for with_others, by_itself in zip(aligned, alone, strict=True):
        control = purity(by_itself, shuffled)
        assert control < 0.25
        assert purity(with_others, kind) - control > 0.9 * (purity(by_itself, kind) - control) > 0.4


def test_a_stronger_pull_holds_regions_closer(layers):
    vectors, kind, aligned, _ = layers
    free = [layout.points for layout in lay_out(vectors, np.arange(1200), replace(SETTINGS, pull=0), Silent()).values()]
    for i in range(2):
        assert displacement(aligned[i], aligned[i + 1], kind) < displacement(free[i], free[i + 1], kind)


def test_a_layer_that_is_added_finds_its_regions_where_they_are(layers):
    vectors, kind, aligned, alone = layers
    names = list(vectors)
    beside = {names[0]: aligned[0], names[1]: None, names[2]: aligned[2]}
    found = lay_out({names[1]: vectors[names[1]]}, np.arange(1200), SETTINGS, Silent(), beside)
    assert list(found) == [names[1]]
    added = found[names[1]].points
    for other in (0, 2):
        independent = displacement(turned(alone[1], alone[other]), alone[other], kind)
        assert displacement(added, aligned[other], kind) < 0.8 * independent
    assert purity(added, kind) > 0.9 * purity(alone[1], kind)
