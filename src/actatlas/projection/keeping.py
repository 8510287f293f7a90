"""What was found, as files of the atlas folder: `atlas/projection.py` is the side that reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from actatlas.atlas import STATES, Atlas, Grid, Layer, cut_patches
from actatlas.bands import shown
from actatlas.projection.comparing import OnGrid, OnLayer
from actatlas.projection.settings import ProjectionSettings
from actatlas.store import AtlasFolder, paths, pictures

_MOST_LISTED = 12  # far photos, and patches of what there is more of


def write_projection(
    files: AtlasFolder,
    key: str,
    facts: dict[str, Any],
    found: Sequence[OnLayer],
    second: Atlas,
    settings: ProjectionSettings,
) -> None:
    """facts: what it is called and made of. The caller holds the atlas's lock."""
    listed = second.plan["images"]
    patches = {one.layer.name: _patches(one, second) for one in found}
    facts = facts | {
        "photos": {"spec": listed["spec"], **second.image_counts},
        "activations": int(sum(shard["activations"] for shard in second.shards)),
        "settings": asdict(settings),
        "layers": {one.layer.name: _layer_facts(one, second, patches[one.layer.name]) for one in found},
    }
    with files.reopened():
        files.forget(paths.projection(key))
        files.write(paths.projection_images(key), second.images.to_csv(index=False).encode("utf-8", "surrogateescape"))
        for one in found:
            _write_layer(files, key, one, second, patches[one.layer.name])
        # Last: without it there is no projection.
        files.write_json(paths.projection_facts(key), facts)


def _write_layer(files: AtlasFolder, key: str, one: OnLayer, second: Atlas, patches: dict[str, list[Any]]) -> None:
    places = second.layer(one.layer.name).places
    arrays = {"points": one.points, "distances": one.distances}
    arrays |= {"image_ids": places.image_ids, "positions": places.positions, "boxes": places.boxes}
    files.write_arrays(paths.projected(key, one.layer.name), arrays)
    for side, cells in one.grids.items():
        files.write_arrays(paths.projected_cells(key, one.layer.name, side), _arrays(cells))
    for kind, entries in patches.items():
        for number, (_, picture) in enumerate(entries):
            files.write(paths.projection_patch(key, one.layer.name, kind, number), pictures.png(picture))


def _arrays(cells: OnGrid) -> dict[str, np.ndarray]:
    arrays = {"counts": cells.counts, "photos": cells.photos, "far": cells.far, "beyond": cells.beyond}
    if cells.reach is not None:
        states = np.array([STATES.index(state) for state in cells.reach.states], np.int8)
        arrays |= {"reach": cells.reach.values, "p": cells.reach.p, "asked": cells.reach.asked, "state": states}
    return arrays


def _layer_facts(one: OnLayer, second: Atlas, patches: dict[str, list[Any]]) -> dict[str, Any]:
    low, high = one.far_interval
    return {
        "activations": len(one.points),
        "compared_with": {"activations": one.own_activations, "photos": one.own_photos},
        "shared_photos": one.shared_photos,
        "far": {
            "share": round(one.far_share, 5), "interval": [round(low, 5), round(high, 5)],
            "own_share": round(one.own_far_share, 5), "distance": round(one.far_from, 5),
            "photos": [_spot(one, row, second) for row, _ in patches["far"]],
        },
        "more": [_spot(one, row, second) for row, _ in patches["more"]],
        "grids": {str(side): _grid_facts(cells) for side, cells in one.grids.items()},
    }  # fmt: skip


def _spot(one: OnLayer, row: int, second: Atlas) -> dict[str, Any]:
    """A new activation: of which photo, where in it, where on the coarsest grid, and how far from the atlas's."""
    places = second.layer(one.layer.name).places
    image_id = int(places.image_ids[row])
    side = one.layer.grid_sides[0]
    column, line = np.minimum((one.points[row] * side).astype(int), side - 1).tolist()
    top = second.top_classes
    is_taken = None if top is None else np.flatnonzero(top[0] == image_id)
    labels = second.labels
    taken = None if is_taken is None or not len(is_taken) or top is None else int(top[1][is_taken[0], 0])
    return {
        "file": str(second.images["path"].iloc[image_id]), "image_id": image_id, "grid": side, "cell": [column, line],
        "position": places.positions[row].tolist(), "box": places.boxes[row].tolist(),
        "distance": round(float(one.distances[row]), 4),
        "taken_for": None if taken is None else labels[taken] if labels else f"class {taken}",
    }  # fmt: skip


def _grid_facts(cells: OnGrid) -> dict[str, Any]:
    grid = cells.grid
    value: dict[str, Any] = {
        "cells": len(grid),
        "empty": int((cells.photos == 0).sum()),
        "beyond": [{"cell": [c, r], "photos": n} for c, r, n in cells.beyond.tolist()],
        "reach": None,
    }
    if cells.reach is None:
        return value
    is_in = np.maximum(grid.counts.sum(), 1)
    listed: dict[str, Any] = {}
    for state in ("unreached", "fewer", "more"):
        chosen = np.flatnonzero(cells.reach.states == state)
        values = np.nan_to_num(cells.reach.values[chosen], nan=1.0)
        order = chosen[np.argsort(-values if state == "more" else values, kind="stable")]
        listed[state] = [_cell_facts(grid, cells, int(k)) for k in order]
    share = {state: round(float(grid.counts[cells.reach.states == state].sum() / is_in), 5) for state in STATES}
    return value | {"reach": {"shares": share, **listed}}


def _cell_facts(grid: Grid, cells: OnGrid, k: int) -> dict[str, Any]:
    assert cells.reach is not None
    top = grid.top_classes(1)
    return {
        "cell": grid.coordinates[k].tolist(), "label": None if top is None else grid.class_name(int(top[0][k, 0])),
        "activations": int(grid.counts[k]), "photos": int(grid.image_counts[k]),
        "new_activations": int(cells.counts[k]), "new_photos": int(cells.photos[k]),
        "reach": round(float(cells.reach.values[k]), 3), "p": round(float(cells.reach.p[k]), 5),
    }  # fmt: skip


def _patches(one: OnLayer, second: Atlas) -> dict[str, list[Any]]:
    """(row of the new activations, patch) by kind: "far", what the atlas has nothing like, one a photo, the farthest
    first; "more", what the new photos have more of, one a cell.
    """
    rows = {"far": _far_rows(one, second), "more": _more_rows(one, second)}
    every = [row for kind in rows.values() for row in kind]
    layer: Layer = second.layer(one.layer.name)
    cut: dict[int, Any] = {}
    for slot, (patch,) in cut_patches(second, every, [layer], [one.layer.patch_px], reduced=True):
        cut[slot] = shown(patch).convert("RGB")
    found, slot = {}, 0
    for kind, chosen in rows.items():
        found[kind] = [(row, cut[slot + i]) for i, row in enumerate(chosen)]
        slot += len(chosen)
    return found


def _far_rows(one: OnLayer, second: Atlas) -> list[int]:
    ids = second.layer(one.layer.name).places.image_ids
    order = np.argsort(-one.distances, kind="stable")
    order = order[one.is_far[order]]
    _, first = np.unique(ids[order], return_index=True)
    return [int(row) for row in order[np.sort(first)][:_MOST_LISTED]]


def _more_rows(one: OnLayer, second: Atlas) -> list[int]:
    """Of the cells that the new photos have more of, those most so: the new activation nearest to its middle."""
    side = one.layer.grid_sides[0]
    cells = one.grids[side]
    if cells.reach is None:
        return []
    chosen = np.flatnonzero((cells.reach.states == "more") & (cells.counts > 0))
    chosen = chosen[np.argsort(-cells.reach.values[chosen], kind="stable")][:_MOST_LISTED]
    middles = (cells.grid.coordinates[chosen] + 0.5) / side
    rows = []
    for middle in middles:
        rows.append(int(np.abs(one.points - middle).max(axis=1).argmin()))
    return rows
