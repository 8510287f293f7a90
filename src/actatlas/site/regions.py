"""Parts of a map whose photos are of the same classes, and their names: what a reader finds his way by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from actatlas.atlas import Grid
from actatlas.regions import middle_of, regions

_CELLS_A_REGION = 14
_MOST_REGIONS = 24
_LEAST_CELLS = 3
_NAMES = 3
_STRONGEST = 5
_LEAST_SCORE = 1.5  # deviations: below it no class stands out


@dataclass(frozen=True)
class Region:
    """cells: indices of its cells; middle: of the one nearest to their middle on the map; classes: that its photos are
    taken for more often than the map's, the clearest first; scores: by how many deviations."""

    cells: np.ndarray
    middle: int
    classes: tuple[int, ...]
    scores: tuple[float, ...]


def regions_of(grid: Grid) -> list[Region]:
    """Regions of a grid's map, the largest and clearest first; none where the network has no classes."""
    kept = grid.kept_regions
    return _computed(grid) if kept is None else _as_kept(grid, **kept)


def as_arrays(grid: Grid) -> dict[str, np.ndarray]:
    """A grid's regions as an atlas without activations keeps them (`Grid.kept_regions`)."""
    found = regions_of(grid)
    region_of = np.full(len(grid), -1, np.int32)
    classes, scores = np.full((len(found), _NAMES), -1, np.int32), np.zeros((len(found), _NAMES), np.float32)
    for number, region in enumerate(found):
        region_of[region.cells] = number
        classes[number, : len(region.classes)] = region.classes
        scores[number, : len(region.scores)] = region.scores
    return {"region_of": region_of, "region_classes": classes, "region_scores": scores}


def _as_kept(grid: Grid, region_of: np.ndarray, region_classes: np.ndarray, region_scores: np.ndarray) -> list[Region]:
    found = []
    for number, (classes, scores) in enumerate(zip(region_classes, region_scores, strict=True)):
        cells, is_named = np.flatnonzero(region_of == number), classes >= 0
        names, by = tuple(classes[is_named].tolist()), tuple(scores[is_named].tolist())
        found.append(Region(cells, middle_of(grid.coordinates, cells), names, by))
    return found


def _computed(grid: Grid) -> list[Region]:
    shares = photo_classes(grid) if len(grid) >= 2 * _LEAST_CELLS else None
    if shares is None:
        return []
    # Roots: the distance of two cells is Hellinger's, and a class of few photos is heard beside common ones.
    profiles = np.sqrt(shares) - np.sqrt(shares).mean(axis=0)
    profiles /= np.maximum(np.linalg.norm(profiles, axis=1, keepdims=True), 1e-9)
    count = int(np.clip(len(grid) // _CELLS_A_REGION, 2, _MOST_REGIONS))
    region_of = clusters_on_map(grid.coordinates, profiles, count)
    usual = grid.counts @ shares / grid.counts.sum()
    found = []
    for number in range(region_of.max() + 1):
        cells = np.flatnonzero(region_of == number)
        here = grid.counts[cells] @ shares[cells] / grid.counts[cells].sum()
        photos = len(np.unique(np.concatenate([grid.photos(int(k)) for k in cells])))
        over = photos * (here - usual) / np.sqrt(photos * usual + 0.5)  # Poisson's deviation, and half a photo
        named = [int(c) for c in np.argsort(-over, kind="stable")[:_NAMES] if over[c] >= _LEAST_SCORE]
        if len(cells) >= _LEAST_CELLS and named:
            middle = middle_of(grid.coordinates, cells)
            found.append(Region(cells, middle, tuple(named), tuple(float(over[c]) for c in named)))
    return sorted(found, key=lambda region: -region.scores[0] * np.sqrt(len(region.cells)))


def spoken_for(grid: Grid, regions: list[Region]) -> list[Region]:
    """The same with those names alone that half of a region's cells speak for, among their five strongest classes.

    On a map between two classes a region's photos tell more of what else they show than of what its place means.
    """
    top = grid.top_classes(_STRONGEST)
    if top is None:
        return []
    found = []
    for region in regions:
        strongest = top[0][region.cells]
        kept = [i for i, c in enumerate(region.classes) if (strongest == c).any(axis=1).mean() >= 0.5]
        if kept:
            names, by = tuple(region.classes[i] for i in kept), tuple(region.scores[i] for i in kept)
            found.append(replace(region, classes=names, scores=by))
    return found


def photo_classes(grid: Grid) -> np.ndarray | None:
    """(K, classes) float32: shares of what the photos of a cell's activations are taken for.

    Each crop's, or photo's, strongest classes count 1, 1/2, 1/3 … of their sum. None for a network without logits.
    """
    atlas = grid.layer.atlas
    if atlas.top_classes is None or not atlas.labels:
        return None
    ids, classes = atlas.top_classes
    by_photo = np.argsort(ids, kind="stable")
    ids, classes = ids[by_photo], classes[by_photo]
    by_rank = 1 / np.arange(1, classes.shape[1] + 1)
    image_ids, shares = grid.layer.places.image_ids, np.zeros((len(grid), len(atlas.labels)), np.float32)
    for k in range(len(grid)):
        photos, counts = np.unique(image_ids[grid.members(k)], return_counts=True)
        first, end = np.searchsorted(ids, photos, "left"), np.searchsorted(ids, photos, "right")
        rows = np.concatenate([np.arange(a, b) for a, b in zip(first, end, strict=True)])
        weights = np.repeat(counts / np.maximum(end - first, 1), end - first)[:, None] * by_rank
        shares[k] = np.bincount(classes[rows].ravel(), weights.ravel(), shares.shape[1])
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)


def named_regions(grid: Grid) -> list[dict[str, Any]]:
    """Parts of the map that a user's own vectors came with, as the page has regions: each with its "name"."""
    if grid.regions is None:
        return []
    of, shares = grid.regions
    found = []
    for cells in regions(grid.coordinates, of):
        name = grid.layer.region_names[of[cells[0]]]
        if len(cells) < _LEAST_CELLS or not name:
            continue
        x, y = ((grid.coordinates[middle_of(grid.coordinates, cells)] + 0.5) / grid.side).tolist()
        score = round(float(shares[cells].mean()), 2)
        found.append(
            {"x": round(x, 4), "y": round(y, 4), "cells": len(cells), "classes": [], "scores": [score], "name": name}
        )
    return found[:_MOST_REGIONS]


def clusters_on_map(coordinates: np.ndarray, profiles: np.ndarray, count: int) -> np.ndarray:
    """(K,) the cluster of each cell, at least `count` of them: Ward's method, only ever joining clusters that touch.

    coordinates: (K, 2) columns and rows; profiles: (K, D). Cells touch at sides and corners.
    """
    neighbours = _touching(coordinates)
    sums = {k: profiles[k].astype(np.float64) for k in range(len(profiles))}
    sizes = dict.fromkeys(sums, 1)
    members = {k: [k] for k in sums}
    age = dict.fromkeys(sums, 0)  # how often a cluster has grown: a cost from before that is out of date
    costs = [(_ward(sums, sizes, a, b), a, b, 0) for a in neighbours for b in neighbours[a] if a < b]
    heapify(costs)
    while len(members) > count and costs:
        _, a, b, then = heappop(costs)
        if a not in members or b not in members or then != age[a] + age[b]:
            continue
        sums[a] += sums.pop(b)
        sizes[a] += sizes.pop(b)
        members[a] += members.pop(b)
        age[a] += 1
        for other in neighbours.pop(b):
            neighbours[other].discard(b)
            if other != a:
                neighbours[other].add(a)
                neighbours[a].add(other)
        for other in neighbours[a]:
            pair = min(a, other), max(a, other)
            heappush(costs, (_ward(sums, sizes, *pair), *pair, age[a] + age[other]))
    clusters = np.empty(len(profiles), np.int64)
    for number, cluster in enumerate(members):
        clusters[members[cluster]] = number
    return clusters


def _touching(coordinates: np.ndarray) -> dict[int, set[int]]:
    at = {(int(c), int(r)): k for k, (c, r) in enumerate(coordinates)}
    steps = [(c, r) for c in (-1, 0, 1) for r in (-1, 0, 1) if (c, r) != (0, 0)]
    return {k: {at[c + dc, r + dr] for dc, dr in steps if (c + dc, r + dr) in at} for (c, r), k in at.items()}


def _ward(sums: dict[int, np.ndarray], sizes: dict[int, int], a: int, b: int) -> float:
    """How much joining two clusters adds to the squared distances from their means (Ward 1963)."""
    apart = sums[a] / sizes[a] - sums[b] / sizes[b]
    return sizes[a] * sizes[b] / (sizes[a] + sizes[b]) * float(apart @ apart)
