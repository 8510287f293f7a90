"""What the page knows: one script for the atlas, one for each grid. A script hands a JSON value to the page.

Scripts, because a page that was opened by a double click may load them and may not fetch.
Their schemas are docs/schema/site-*.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from actatlas.atlas import Atlas, ClassAtlas, Grid, Layer
from actatlas.site.examples import CELLS_PER_BLOCK, PATCH_PX, patch_count
from actatlas.site.pyramid import CELLS_PER_TILE, cell_px

FORMAT_VERSION = 1
TOP_CLASSES = 5
TOP_VALUES = 3


def grid_folder(slug: str, side: int) -> str:
    return f"layers/{slug}/{side}"


def script(key: str, value: Any) -> bytes:
    """`actatlas(key, value);` in ASCII, and without < and &: whatever a label says, it ends neither script nor line."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"actatlas({json.dumps(key)},{text});\n".encode("ascii")


def atlas_value(atlas: Atlas, with_patches: Mapping[str, bool]) -> dict[str, Any]:
    """The page's first file. `with_patches`: by grid folder, whether sheets of patches were written."""
    return {
        "format_version": FORMAT_VERSION,
        "title": atlas.title,
        "origin": atlas.origin,
        "network": atlas.plan["network"]["spec"],
        "is_finished": not _is_growing(atlas),
        "photos": dict(atlas.image_counts),
        "labels": atlas.labels,
        "layers": [_layer_value(layer, with_patches) for layer in shown_layers(atlas)],
    }


def shown_layers(atlas: Atlas) -> list[Layer]:
    """The layers, then the atlases of classes."""
    return [*(atlas.layer(name) for name in atlas.layer_names), *atlas.class_atlases]


def _layer_value(layer: Layer, with_patches: Mapping[str, bool]) -> dict[str, Any]:
    return {
        "name": layer.title,
        "of": layer.name if isinstance(layer, ClassAtlas) else None,
        "slug": layer.slug,
        "type": layer.info.type,
        "shape": list(layer.info.shape),
        "stride": layer.info.stride,
        "patch_px": layer.patch_px if layer.grid_sides else None,
        "activations": layer.activation_count,
        "attribution": layer.attribution_method,
        "grids": [
            _grid_value(layer.grid(side), with_patches.get(grid_folder(layer.slug, side), False))
            for side in layer.grid_sides
        ],
    }


def _grid_value(grid: Grid, has_patches: bool) -> dict[str, Any]:
    patches = {"count": patch_count(grid.side), "size_px": PATCH_PX, "block": CELLS_PER_BLOCK}
    return {
        "side": grid.side,
        "cells": len(grid),
        "painted": int(np.sum(grid.is_painted)),
        "cell_px": cell_px(grid),
        "tile_cells": CELLS_PER_TILE,
        "patches": patches if has_patches else None,
    }


def cells_value(grid: Grid) -> dict[str, Any]:
    """A grid's cells as columns: item k of every list is cell k."""
    value: dict[str, Any] = {
        "side": grid.side,
        "columns": grid.coordinates[:, 0].tolist(),
        "rows": grid.coordinates[:, 1].tolist(),
        "counts": grid.counts.tolist(),
        "photos": grid.image_counts.tolist(),
        "cosine": _rounded(grid.cosine, 3),
        "rank": [None if math.isnan(r) else int(r) for r in grid.rank.tolist()],
        "cohesion": _rounded(grid.cohesion, 3),
        "remarks": [list(cell) for cell in grid.remarks],
        "classes": None,
        "values": None,
        "photo_columns": _photo_columns(grid),
    }
    top = grid.top_classes(TOP_CLASSES)
    if top is not None:
        value["classes"] = top[0].tolist()
        value["values"] = [[_significant(v) for v in row] for row in top[1].tolist()]
    return value


def _photo_columns(grid: Grid) -> dict[str, list[list[tuple[str, int]]]]:
    """For each column that came with the photos, its commonest values in each cell, with the photos that have them."""
    images = grid.layer.atlas.images
    names = [name for name in images.columns if name not in ("id", "path", "skipped")] if len(images) else []
    return {name: grid.column_values(name, TOP_VALUES) for name in names}


def _rounded(values: np.ndarray, digits: int) -> list[float | None]:
    return [round(v, digits) if math.isfinite(v) else None for v in np.asarray(values, np.float64).tolist()]


def _significant(value: float) -> float | None:
    """Three digits: a late layer's values are in units, an early one's in thousandths."""
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _is_growing(atlas: Atlas) -> bool:
    """Whether icons are still to come. Not Atlas.is_finished: the manifest is written after the site."""
    grids = [atlas.layer(name).grid(side) for name in atlas.layer_names for side in atlas.layer(name).grid_sides]
    return not grids or not all(bool(grid.is_painted.all()) for grid in grids)
