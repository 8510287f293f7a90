"""What was found out on an atlas after it was built: misunderstandings, and what cells are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from actatlas.atlas import Atlas, Grid, Projection
from actatlas.site.settings import SiteSettings
from actatlas.store import paths
from actatlas.values import Examples

# A story shows a photo with the patch on it.
_PICTURES: dict[Examples, tuple[str, ...]] = {
    "none": (), "patches": ("patch",), "thumbs": ("patch", "story"), "originals": ("patch", "story"),
}  # fmt: skip


def confusions_value(atlas: Atlas, settings: SiteSettings) -> list[dict[str, Any]]:
    """The stories of all layers that are shown, by layer, the best proven first."""
    return [
        _story(atlas, layer, number, kept["grid"], entry) | _pictures(atlas, layer, entry, settings.examples)
        for layer, kept in _lists(atlas, settings)
        for number, entry in enumerate(kept["entries"])
    ]


def confusion_pictures(atlas: Atlas, settings: SiteSettings) -> Iterator[tuple[str, str]]:
    """(name in the site, path in the atlas folder) of the pictures that the stories name."""
    for layer, kept in _lists(atlas, settings):
        for entry in kept["entries"]:
            for kind in _PICTURES[settings.examples]:
                path = paths.confusion_picture(layer, kind, entry["proposal"]["rank"])
                if atlas.files.has(path):
                    yield _name(layer, kind, entry), path


def projections_value(atlas: Atlas, settings: SiteSettings) -> list[dict[str, Any]]:
    """Second sets of photos, by name: what they reach of each layer that is shown."""
    found = []
    for one in atlas.projections:
        layers = [_projected(one, name, settings) for name in one.layer_names if name in atlas.layer_names]
        told = [layer for layer in layers if layer["told"]]
        if told:
            found.append({"key": one.key, "name": one.name, "photos": one.facts["photos"]["used"], "layers": told})
    return found


def projection_pictures(atlas: Atlas, settings: SiteSettings) -> Iterator[tuple[str, str]]:
    """(name in the site, path in the atlas folder) of the patches that these name."""
    for one in atlas.projections:
        for layer in one.layer_names:
            for kind, number, _ in _patches_shown(one, layer, settings):
                yield _patch_name(one, layer, kind, number), paths.projection_patch(one.key, layer, kind, number)


def traces_value(atlas: Atlas, settings: SiteSettings) -> list[dict[str, Any]]:
    """As `Trace.to_json` has them; those alone whose cells are all shown."""
    paths_of = (path for name in atlas.layer_names for path in atlas.files.committed(paths.traces(name)))
    found = [atlas.files.read_json(path) for path in paths_of]
    return [trace for trace in found if all(settings.shows(p["layer"], p["grid"]) for p in [trace, *trace["origins"]])]


def tour_value(atlas: Atlas, settings: SiteSettings) -> list[dict[str, Any]] | None:
    """Its stops. None where there is no tour, or only a part of what it may lead to."""
    return atlas.files.read_json(paths.TOUR) if settings.is_whole and atlas.files.has(paths.TOUR) else None


def _lists(atlas: Atlas, settings: SiteSettings) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in atlas.layer_names:
        path = paths.confusion_list(name)
        kept = atlas.files.read_json(path) if atlas.files.has(path) else None
        if kept is not None and settings.shows(name, kept["grid"]):
            yield name, kept


def _story(atlas: Atlas, layer: str, number: int, side: int, entry: dict[str, Any]) -> dict[str, Any]:
    proposal, proof = entry["proposal"], entry["proof"]
    column, row = atlas.layer(layer).grid(side).coordinates[proposal["k"]].tolist()

    return {
        "layer": layer, "grid": side, "column": column, "row": row, "rank": number + 1,
        "target": proposal["target"], "concept": proposal["concept"], "told": entry["told"],
        "rates": _rates(proof) if proof else None, "interval": proof and proof["patch"]["interval"],
        "scored": proof and proof["scored"], "transfer": proof and proof["transfer"],
    }  # fmt: skip


def _pictures(atlas: Atlas, layer: str, entry: dict[str, Any], examples: Examples) -> dict[str, str | None]:
    """Names in the site, where they may be shown and are there."""

    def name(kind: str) -> str | None:
        path = paths.confusion_picture(layer, kind, entry["proposal"]["rank"])
        return _name(layer, kind, entry) if kind in _PICTURES[examples] and atlas.files.has(path) else None

    return {kind: name(kind) for kind in ("patch", "story")}


def _rates(proof: dict[str, Any]) -> list[list[Any]]:
    """[what was pasted, share of the photos that it turned], the patch first."""
    arms = {"patch": proof["patch"], "its icon": proof["icon"]} | proof["controls"]
    return [[name.replace("_", " "), arm["rate"]] for name, arm in arms.items()]


def _name(layer: str, kind: str, entry: dict[str, Any]) -> str:
    return f"confusions/{paths.layer_slug(layer)}/{entry['proposal']['rank']:02d}-{kind}.jpg"


def _projected(one: Projection, name: str, settings: SiteSettings) -> dict[str, Any]:
    facts, layer = one.of_layer(name), one.atlas.layer(name)
    sides = [side for side in layer.grid_sides if settings.shows(name, side) and str(side) in facts["grids"]]
    grids = [layer.grid(side) for side in sides]
    coarsest = facts["grids"][str(sides[0])]["reach"] if sides else None
    listed = {state: [cell["cell"] for cell in coarsest[state]] if coarsest else [] for state in ("unreached", "more")}
    return listed | {
        "layer": name,
        "side": sides[0] if sides else 0,
        "told": one.told(grids[0]) if grids else [],
        "patches": [
            {
                "kind": kind, "picture": _patch_name(one, name, kind, number), "grid": entry["grid"],
                "column": entry["cell"][0], "row": entry["cell"][1], "taken_for": entry["taken_for"],
                "distance": entry["distance"],
            }
            for kind, number, entry in _patches_shown(one, name, settings)
        ],
        "grids": [value for grid in grids if (value := _reach(one, grid)) is not None],
    }  # fmt: skip


def _reach(one: Projection, grid: Grid) -> dict[str, Any] | None:
    """Of each cell the reach in doublings, from −5 to 5; None where the grid has too few activations a cell to say."""
    found = one.cells(grid)
    if "reach" not in found:
        return None
    reach = np.nan_to_num(found["reach"], nan=1.0).astype(np.float64)
    return {"side": grid.side, "doublings": np.round(np.log2(np.clip(reach, 1 / 32, 32)), 1).tolist()}


def _patches_shown(one: Projection, layer: str, settings: SiteSettings) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(kind, number, what the facts say of it) of the patches that may be shown, and are there."""
    facts = one.of_layer(layer)
    for kind, entries in (("far", facts["far"]["photos"]), ("more", facts["more"])):
        for number, entry in enumerate(entries):
            is_there = one.atlas.files.has(paths.projection_patch(one.key, layer, kind, number))
            if is_there and settings.examples != "none" and settings.shows(layer, entry["grid"]):
                yield kind, number, entry


def _patch_name(one: Projection, layer: str, kind: str, number: int) -> str:
    return f"projections/{one.key}/{paths.layer_slug(layer)}/{kind}-{number:02d}.jpg"
