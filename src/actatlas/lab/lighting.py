"""Which cells a photo lights up: for each place of it, the cell whose mean its activation is most like."""

from __future__ import annotations

from typing import Any

import numpy as np

from actatlas.atlas import Grid, Layer
from actatlas.lab.asking import Photo
from actatlas.lab.bench import Bench

_MOST_PLACES = 32  # along a side of a map: of a larger one every second, third …
_TOGETHER = 4_000_000  # cosines


def lights(bench: Bench, photo: Photo, side: int | None) -> dict[str, Any]:
    """Each layer's cells, on its grid of this side or the nearest to it (None: the coarsest), the strongest first.

    A layer without grids is left out. Raises UnfinishedAtlas where the atlas carries no means of its cells.
    """
    atlas = bench.atlas
    layers = [atlas.layer(name) for name in atlas.layer_names if atlas.layer(name).grid_sides]
    maps = bench.maps(photo, [layer.name for layer in layers])
    return {"layers": [_layer_value(layer, side, maps[layer.name]) for layer in layers]}


def _layer_value(layer: Layer, side: int | None, maps: np.ndarray) -> dict[str, Any]:
    sides = layer.grid_sides
    grid = layer.grid(sides[0] if side is None else min(sides, key=lambda other: (abs(other - side), other)))
    nearest, cosine = nearest_cells(grid, activations(maps))
    found = []
    for k in np.unique(nearest).tolist():
        its = nearest == k
        found.append([*grid.coordinates[k].tolist(), round(float(its.mean()), 4), round(float(cosine[its].max()), 3)])
    return {
        "layer": layer.title, "side": grid.side, "places": len(nearest),
        "cells": sorted(found, key=lambda cell: (-cell[2], -cell[3])),
    }  # fmt: skip


def activations(maps: np.ndarray) -> np.ndarray:
    """(C, H, W) → (places, C), all of a small map; row-major."""
    step = [-(-size // _MOST_PLACES) for size in maps.shape[1:]]
    thinned = maps[:, step[0] // 2 :: step[0], step[1] // 2 :: step[1]]
    return thinned.reshape(len(maps), -1).T


def nearest_cells(grid: Grid, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each activation (N, C) the cell (N,) with the highest cosine to it, both less the layer's mean; that (N,)."""
    directions, centred = grid.directions, vectors.astype(np.float32) - grid.layer.mean
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    nearest, cosine = [], []
    for part in np.array_split(centred, max(len(centred) * len(grid) // _TOGETHER, 1)):
        cosines = part @ directions.T
        nearest.append(cosines.argmax(axis=1))
        cosine.append(cosines.max(axis=1))
    return np.concatenate(nearest), np.concatenate(cosine)
