"""A comparison as a folder of its own: an atlas with two layers on one map, so that all that shows atlases shows it.

The first layer is the first network's, the second the second's; beside them lie comparison.json and comparison.png.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from actatlas.atlas import Atlas, Layer, cut_pictures
from actatlas.comparison.changes import Change
from actatlas.comparison.comparing import Comparison, mean_of
from actatlas.comparison.drawing import draw_comparison
from actatlas.comparison.telling import comparison_table, comparison_value
from actatlas.errors import FolderTaken
from actatlas.progress import Progress
from actatlas.site import write_own_site
from actatlas.store import FORMAT_VERSION, AtlasFolder, building, paths, pictures, write_cells, write_icons
from actatlas.values import Cells, Examples, Icons

PICTURE = "comparison.png"
NOT_IN_BOTH = "not in both atlases at the same places"
_SHARD_ROWS = 65_536

# Of the first (0) or the second (1) network's cells their icons.
Paint = Callable[[int, Cells], Icons]


@dataclass(frozen=True)
class KeptComparison:
    """A comparison in its folder, which `actatlas.open` opens.

    found: all that was computed; value: what comparison.json holds (docs/schema/comparison.json)
    """

    folder: Path
    found: Comparison

    @cached_property
    def value(self) -> dict[str, Any]:
        return comparison_value(self.found)

    @property
    def picture(self) -> Path:
        return self.folder / PICTURE

    @property
    def page(self) -> Path:
        return self.folder / "site" / "index.html"

    @property
    def address(self) -> str:
        """Of the page, with both maps side by side."""
        first, second = layer_names(self.found)
        return f"{self.page.as_uri()}#layer={_quoted(first)}&beside={_quoted(second)}"

    def table(self) -> pd.DataFrame:
        """One row a cell of the map of both."""
        return comparison_table(self.found)


def keep_comparison(
    found: Comparison, folder: Path, paint: Paint | None, examples: Examples | None, progress: Progress
) -> KeptComparison:
    """Write it, its picture and its page, in the place of a comparison that was there before.

    paint: None where cells show photos: of each the part whose own vector is nearest to the cell's mean

    Raises FolderTaken where the folder holds anything else, Locked; before it is touched, what painting raises.
    """
    _require_ours(folder)
    names = layer_names(found)
    icons = [
        paint(number, cells) if paint else _photos(found, number, progress) for number, cells in enumerate(found.cells)
    ]
    with building(folder) as files:
        _require_ours(folder)
        files.reopen()
        files.forget("")
        files.write_json("plan.json", _plan(found, names, icons, paint is not None))
        _write_whole(files, found)
        for number, name in enumerate(names):
            _write_layer(files, found, number, name, icons[number])
        files.write_json(paths.COMPARISON, comparison_value(found))
        atlas = Atlas(files)
        grids = tuple(atlas.layer(name).grid(found.side) for name in names)
        drawn = draw_comparison((grids[0], grids[1]), found.shared)
        files.write(PICTURE, pictures.png(drawn))
        write_own_site(atlas, progress, examples)
        files.finish({"plan_sha256": hashlib.sha256(files.read_bytes("plan.json")).hexdigest()})
    return KeptComparison(folder, found)


def layer_names(found: Comparison) -> tuple[str, str]:
    """What the two layers are called: by their atlases' folders, or A and B where those have one name."""
    folders = [re.sub(r"[^\w.-]+", "-", layer.atlas.folder.name) for layer in found.layers]
    if folders[0] == folders[1]:
        folders = ["A", "B"]
    first, second = (f"{folder}: {layer.name}" for folder, layer in zip(folders, found.layers, strict=True))
    return first, second


def _require_ours(folder: Path) -> None:
    if (folder / "plan.json").is_file() and "compared" not in AtlasFolder.existing(folder).read_json("plan.json"):
        raise FolderTaken(f"{folder} is an atlas; choose another --out for the comparison", path=str(folder))


def _plan(found: Comparison, names: tuple[str, str], icons: list[Icons], are_painted: bool) -> dict[str, Any]:
    """As the first atlas's, with two layers; "compared" says of what."""
    one, other = (layer.atlas for layer in found.layers)
    used = len(np.unique(found.matched.image_ids))
    listed = one.plan["images"]["listed"]
    class_count = None if found.spoken is None or found.classes is None else len(found.classes)
    layers = [asdict(layer.info) | {"name": name} for layer, name in zip(found.layers, names, strict=True)]
    return {
        "format_version": FORMAT_VERSION,
        "title": f"{names[0]} and {names[1]}",
        "origin": f"First: {one.origin} Second: {other.origin}",
        "network": one.plan["network"] | {"class_count": class_count},
        "layers": layers,
        "images": one.plan["images"] | {"counts": {"listed": listed, "used": used, "skipped": listed - used}},
        "icon_px": {name: int(drawn.pixels.shape[1]) for name, drawn in zip(names, icons, strict=True)},
        "settings": one.plan["settings"] | {
            "layout": asdict(found.settings.layout), "min_images": found.settings.min_images,
        },
        "versions": one.plan["versions"],
        "compared": {
            "pictures": "icons" if are_painted else "photos", "sides": [_side(layer) for layer in found.layers],
        },
    }  # fmt: skip


def _side(layer: Layer) -> dict[str, Any]:
    network = layer.atlas.plan["network"]
    return {
        "atlas": str(layer.atlas.folder), "layer": layer.name, "network": network["spec"],
        "weights_sha256": network["weights_sha256"],
    }  # fmt: skip


def _write_whole(files: AtlasFolder, found: Comparison) -> None:
    """What both layers share: classes, photos and places."""
    one = found.layers[0].atlas
    names = None if found.classes is None else found.classes.names
    files.write_json("labels.json", names)
    if names is not None and found.classes is not None:
        files.write_json("synonyms.json", [one.class_names.others(int(i)) for i in found.classes.of[0]])
    if one.has_photos:
        files.write("images.csv", one.files.read_bytes("images.csv"))
    absent = sorted(set(one.images["id"]) - set(np.unique(found.matched.image_ids).tolist()))
    reasons = one.skipped
    skipped = {str(i): reasons.get(i, NOT_IN_BOTH) for i in absent}
    pairs = found.side_of(0)
    for number, start in enumerate(range(0, len(pairs), _SHARD_ROWS)):
        part = pairs.taken(np.arange(start, min(start + _SHARD_ROWS, len(pairs))))
        arrays = {"image_ids": part.image_ids, "positions": part.positions, "boxes": part.boxes}
        files.write_arrays(paths.places(number), arrays)
        files.write_json(paths.shard(number), {"activations": len(part), "skipped": skipped if number == 0 else {}})
    files.write_json("pilot.json", _pilot(found))


def _pilot(found: Comparison) -> dict[str, Any]:
    """Patches are cut from the first network's inputs, so the second's sizes are in its pixels too."""
    names, one = layer_names(found), found.layers[0].atlas
    told: dict[str, Any] = {"precision": "float32", "agreement": {}, "patch_px": {}, "windows": {}, "map_sizes": {}}
    for name, layer in zip(names, found.layers, strict=True):
        scale = one.preprocessing.input_px[0] / layer.atlas.preprocessing.input_px[0]
        told["agreement"][name] = layer.atlas.pilot.get("agreement", {}).get(layer.name, 1.0)
        told["patch_px"][name] = max(round(layer.patch_px * scale), 1)
        told["map_sizes"][name] = list(layer.info.shape[1:])
    return told


def _write_layer(files: AtlasFolder, found: Comparison, number: int, name: str, icons: Icons) -> None:
    vectors, cells, home = found.vectors[number], found.cells[number], paths.home(name)
    for index, start in enumerate(range(0, len(vectors), _SHARD_ROWS)):
        files.write_arrays(paths.activations(name, index), {"vectors": vectors[start : start + _SHARD_ROWS]})
    said = None if found.spoken is None else found.spoken[number]
    average = None if said is None else np.zeros(said.values.shape[1], np.float32)
    files.write_arrays(paths.statistics(name), {"mean": mean_of(vectors), "attribution_mean": average})
    files.write_arrays(paths.layout(home), {"points": found.layout.points})
    # Already over what the average activation speaks for: that of these layers is nothing.
    attributions = None if said is None else np.nan_to_num(said.values)
    write_cells(files, home, replace(cells, attributions=attributions))
    _name_changes(files, found, name)
    write_icons(files, paths.mended_icons(home, cells.side), np.arange(len(cells)), icons)


_REGION_NAMES: dict[Change | None, str] = {
    None: "", "vanishes": "vanishes", "appears": "appears", "class": "other class",
}  # fmt: skip


def _name_changes(files: AtlasFolder, found: Comparison, name: str) -> None:
    """The parts of the map that changed, by name."""
    cells, told = found.cells[0], list(_REGION_NAMES)
    of = np.zeros(len(found.matched), np.int32)
    of[cells.member_rows] = np.repeat([told.index(change) for change in found.shared.changes], cells.counts)
    files.write_arrays(paths.regions(name), {"of": of})
    files.write_json(paths.region_names(name), list(_REGION_NAMES.values()))


def _photos(found: Comparison, number: int, progress: Progress) -> Icons:
    """Of each cell the part of a photo that its nearest member is of, with the figures of that member's own vector."""
    layer, cells, rows = found.layers[number], found.cells[number], found.matched.rows[number]
    members = cells.example_rows[:, 0]
    with progress.stage("Cutting the cells' pictures", len(members), "cells") as tick:
        pixels = cut_pictures(layer, rows[members], tick)
    mean = mean_of(found.vectors[number])
    cosines = _unit(found.vectors[number][members].astype(np.float32) - mean) @ _unit(cells.means - mean).T
    own = np.diag(cosines).astype(np.float32)
    rank = (cosines > own[:, None]).sum(axis=1).astype(np.int32)
    return Icons(pixels, own, rank, np.full(len(own), np.nan, np.float32))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _quoted(name: str) -> str:
    return quote(name, safe=":.")
