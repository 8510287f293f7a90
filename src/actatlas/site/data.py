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
from actatlas.images.joined import BETWEEN
from actatlas.lettering import file_name, without_folders
from actatlas.site.numbers import columns_a_block, number_counts
from actatlas.site.pool import Pool
from actatlas.site.pyramid import CELLS_PER_TILE, cell_px
from actatlas.site.regions import named_regions, regions_of, spoken_for
from actatlas.site.settings import SiteSettings
from actatlas.site.sheets import PATCHES_PER_EDGE
from actatlas.site.views import view_px
from actatlas.values import Examples

FORMAT_VERSION = 2
TOP_CLASSES = 5
TOP_VALUES = 3
MOST_VALUES = 2000  # of a column that the map can be dimmed by: more are no groups of photos
TOP_CHANNELS = 5
NEAREST = 6
# Past so many activations only the finest grid says which photos its cells are of: a coarser one's are theirs together.
MOST_LISTED_EVERYWHERE = 200_000


def grid_folder(slug: str, side: int) -> str:
    return f"layers/{slug}/{side}"


def script(key: str, value: Any) -> bytes:
    """`actatlas(key, value);` in ASCII, and without < and &: whatever a label says, it ends neither script nor line."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"actatlas({json.dumps(key)},{text});\n".encode("ascii")


def data_of(content: bytes) -> str:
    """The JSON that a `script` hands to the page."""
    call = content.decode("ascii")
    _, end = json.JSONDecoder().raw_decode(call, call.index("(") + 1)
    return call[end + 1 : call.rindex(")")]


def atlas_value(
    atlas: Atlas, settings: SiteSettings, pools: Mapping[str, Pool], shown: Examples, found: Mapping[str, Any]
) -> dict[str, Any]:
    """The page's first file.

    pools: by the layer's slug, the patches whose sheets were written; shown: what there is of photos
    found: the values of "columns", "confusions", "projections", "traces", "tour" and "names", each in its own file
    """
    layers = settings.layers_of(atlas)
    pictures = {"pictures": "photos"} if atlas.shows_photos else {}
    return pictures | {
        "format_version": FORMAT_VERSION,
        "title": public_title(atlas),
        "origin": public_text(atlas, atlas.origin),
        "network": public_text(atlas, atlas.plan["network"]["spec"]),
        "is_finished": not _is_growing(atlas),
        "photos": dict(atlas.image_counts),
        "examples": shown,
        "labels": atlas.labels,
        "columns": list(found["columns"]),
        "has": {
            "comparison": atlas.comparison is not None,
            **{key: bool(found[key]) for key in ("confusions", "projections", "traces", "tour", "names")},
        },
        "layers": [_layer_value(layer, settings.sides_of(layer), pools.get(layer.slug)) for layer in layers],
    }


def public_title(atlas: Atlas) -> str:
    """What the atlas is called, as `public_text` has it."""
    return public_text(atlas, atlas.title)


def public_text(atlas: Atlas, text: str) -> str:
    """Without the folders that the photos, or files of the network's, lie in."""
    photos, network = atlas.plan["images"]["spec"], atlas.plan["network"]["spec"]
    public = {part: file_name(part) for part in photos.split(BETWEEN)}
    public[network] = without_folders(network)
    public[network.split(":")[-1]] = public[network].split(":")[-1]
    for private in sorted(public, key=len, reverse=True):
        text = text.replace(private, public[private])
    return text


def _layer_value(layer: Layer, sides: list[int], pool: Pool | None) -> dict[str, Any]:
    ends = layer.ends if isinstance(layer, ClassAtlas) else None
    value = {
        "name": layer.title,
        "of": layer.name if isinstance(layer, ClassAtlas) else None,
        "slug": layer.slug,
        "type": layer.info.type,
        "shape": list(layer.info.shape),
        "stride": layer.info.stride,
        "patch_px": layer.patch_px if layer.grid_sides else None,
        "activations": layer.activation_count,
        "attribution": layer.attribution_method,
        "patches": pool and {"count": len(pool), "size_px": pool.size_px, "sheet_edge": PATCHES_PER_EDGE},
        "grids": [_grid_value(layer.grid(side), pool) for side in sides],
        "regions": _regions_value(layer),
        "directions": list(layer.kept_directions),
    }
    return value if ends is None else value | {"ends": list(ends)}


def lists_photos(grid: Grid) -> bool:
    layer = grid.layer
    is_listed = layer.activation_count <= MOST_LISTED_EVERYWHERE or grid.side == layer.grid_sides[-1]
    return layer.atlas.has_photos and is_listed


def photos_value(grid: Grid) -> list[list[int]] | None:
    """Of each cell the ids of its photos, ascending, each less the one before; None where they are not listed."""
    return [np.diff(grid.photos(k), prepend=0).tolist() for k in range(len(grid))] if lists_photos(grid) else None


def names_value(atlas: Atlas) -> list[list[str]] | None:
    """Of each class what else it is called, such as synonyms and its WordNet id; None where nothing is known."""
    if not atlas.labels or not any(atlas.class_names.others(i) for i in range(len(atlas.labels))):
        return None
    return [atlas.class_names.others(i) for i in range(len(atlas.labels))]


def columns_value(atlas: Atlas) -> dict[str, dict[str, list[Any]]]:
    """Of each column that came with the photos its values, and by photo id which it has; none of too many values."""
    images = atlas.images
    found = {}
    for name in atlas.image_columns:
        values = sorted(set(images[name]))
        if len(values) <= MOST_VALUES:
            index = {value: i for i, value in enumerate(values)}
            of = images.set_index("id")[name].reindex(range(int(images["id"].max()) + 1), fill_value="")
            found[name] = {"values": values, "of": [index.get(value, len(values)) for value in of]}
    return found


def _regions_value(layer: Layer) -> list[dict[str, Any]]:
    """Named parts of the layer's map, by its coarsest grid; x and y in [0, 1]."""
    if not layer.grid_sides:
        return []
    grid = layer.grid(layer.grid_sides[0])
    regions = regions_of(grid)
    if isinstance(layer, ClassAtlas) and layer.ends is not None:
        regions = spoken_for(grid, regions)
    return [
        {
            "x": round((int(grid.coordinates[region.middle, 0]) + 0.5) / grid.side, 4),
            "y": round((int(grid.coordinates[region.middle, 1]) + 0.5) / grid.side, 4),
            "cells": len(region.cells),
            "classes": list(region.classes),
            "scores": [round(score, 2) for score in region.scores],
        }
        for region in regions
    ] + named_regions(grid)


def _grid_value(grid: Grid, pool: Pool | None) -> dict[str, Any]:
    counts = number_counts(grid)
    return {
        "side": grid.side,
        "cells": len(grid),
        "painted": int(np.sum(grid.is_painted)),
        "cell_px": cell_px(grid),
        "tile_cells": CELLS_PER_TILE,
        "view_px": pool and view_px(pool, grid),
        "numbers": {
            kind: {"count": counts[kind], "block": columns_a_block(len(grid))} if kind in counts else None
            for kind in ("classes", "channels", "directions", "likeness")
        },
        "lists_photos": lists_photos(grid),
    }


def cells_value(grid: Grid, pool: Pool | None) -> dict[str, Any]:
    """A grid's cells as columns: item k of every list is cell k."""
    value: dict[str, Any] = {
        "side": grid.side,
        "columns": grid.coordinates[:, 0].tolist(),
        "rows": grid.coordinates[:, 1].tolist(),
        "counts": grid.counts.tolist(),
        "photos": grid.image_counts.tolist(),
        "cohesion": _rounded(grid.cohesion, 3),
        "classes": None,
        "values": None,
        "photo_columns": _photo_columns(grid),
        "channels": None,
        "channel_scores": None,
        "near": None,
        "near_cosines": None,
        "patches": pool and pool.of_cells[grid.side],
    } | fidelity_value(grid)
    comparison = grid.layer.atlas.comparison
    if comparison is not None and not isinstance(grid.layer, ClassAtlas):
        value["compared"] = _compared(grid, comparison)
    top = grid.top_classes(TOP_CLASSES)
    if top is not None:
        value["classes"] = top[0].tolist()
        value["values"] = [[_significant(v) for v in row] for row in top[1].tolist()]
    if top is not None and grid.attribution_errors is not None:
        errors = np.take_along_axis(grid.attribution_errors, top[0], axis=1)
        value["errors"] = [[_significant(v) for v in row] for row in errors.tolist()]
        value["value_photos"] = grid.attribution_photos.tolist()
    if grid.has_means or grid.has_neighbours:
        channels, scores = grid.strongest_channels(TOP_CHANNELS)
        near, cosines = grid.nearest_cells(NEAREST)
        value |= {
            "channels": channels.tolist(), "channel_scores": [_rounded(row, 1) for row in scores],
            "near": near.tolist(), "near_cosines": [_rounded(row, 2) for row in cosines],
        }  # fmt: skip
    return value


def _compared(grid: Grid, comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """What a comparison says of each cell of its map."""
    at = {(cell["column"], cell["row"]): cell for cell in comparison["cells"]}
    as_told = ("overlap", "kept_of_first", "kept_of_second", "change", "vanishing", "appearing")
    found = []
    for column, row in grid.coordinates.tolist():
        cell = at[column, row]
        value = {name: cell[name] for name in as_told}
        for side in ("first", "second"):
            top = cell[f"{side}_classes"]
            value[f"{side}_class"] = top[0]["name"] if top else None
        cka = cell["cka"] or {"value": None, "error": None}
        found.append(value | {"cka": cka["value"], "cka_error": cka["error"]})
    return found


def fidelity_value(grid: Grid) -> dict[str, Any]:
    """What `cells_value` says of the icons: all of it that changes while they are painted."""
    return {
        "cosine": _rounded(grid.cosine, 3),
        "rank": [None if math.isnan(r) else int(r) for r in grid.rank.tolist()],
        "remarks": [list(cell) for cell in grid.remarks],
    }


def _photo_columns(grid: Grid) -> dict[str, list[list[tuple[str, int]]]]:
    """For each column that came with the photos, its commonest values in each cell, with the photos that have them."""
    return {name: grid.column_values(name, TOP_VALUES) for name in grid.layer.atlas.image_columns}


def _rounded(values: np.ndarray, digits: int) -> list[float | None]:
    return [round(v, digits) if math.isfinite(v) else None for v in np.asarray(values, np.float64).tolist()]


def _significant(value: float) -> float | None:
    """Three digits: a late layer's values are in units, an early one's in thousandths."""
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _is_growing(atlas: Atlas) -> bool:
    """Whether icons are still to come. Not Atlas.is_finished: the manifest is written after the site."""
    grids = [atlas.layer(name).grid(side) for name in atlas.layer_names for side in atlas.layer(name).grid_sides]
    return not grids or not all(bool(grid.is_painted.all()) for grid in grids)
