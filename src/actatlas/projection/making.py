"""From a finished atlas and a second set of photos to what the one shows that the other does not."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from actatlas.atlas import Atlas, Layer, Projection
from actatlas.errors import UsageError
from actatlas.networks import Network
from actatlas.progress import Progress
from actatlas.projection.comparing import on_layer
from actatlas.projection.keeping import write_projection
from actatlas.projection.second import collect_second, second_plan
from actatlas.projection.settings import ProjectionSettings
from actatlas.store import AtlasFolder, durable, paths, writing
from actatlas.values import ImageSource

_WAY = 2  # to compare sets; raised where the same photos come to be told otherwise


def project(
    network: Callable[[], Network],
    layers: Sequence[Layer],
    source: ImageSource,
    name: str,
    settings: ProjectionSettings,
    progress: Progress,
) -> Projection:
    """Places the photos on some layers of an atlas, and compares them with its own; kept in its folder.

    network: loads the atlas's own network; called only where there is something to collect
    name: by which it is kept, in the place of an earlier one of that name; "" takes that of the photos' folder or list

    The atlas's own maps, cells and icons stay as they are. Made now, or as it was made before of the same photos.
    Raises UnfinishedAtlas, PlanChanged for a network with other weights, NoImages, TooFewImages, Locked.
    """
    atlas = layers[0].atlas
    atlas.require_activations("ask what other photos show")
    name = name or _name_of(source.spec)
    key = _key_of(name)
    plan = second_plan(atlas, list(layers), source)
    made_of = _made_of(atlas, layers, plan, settings)
    with writing(atlas.folder):
        files = AtlasFolder.existing(atlas.folder)
        if not _is_made(files, key, made_of):
            scratch = atlas.folder / paths.projections() / f".{made_of[:16]}"
            _forget_others(scratch)
            loaded = network()
            atlas.require_weights(loaded.spec, loaded.weights_sha256)
            second = collect_second(loaded, atlas, plan, source, scratch, progress)
            same = _same_photos(atlas, second)
            found = [on_layer(layer, second, same, settings, progress) for layer in layers]
            write_projection(files, key, {"name": name, "made_of": made_of}, found, second, settings)
            durable.remove_folder(scratch)
    return Projection(type(atlas)(AtlasFolder.existing(atlas.folder)), key)


def _made_of(atlas: Atlas, layers: Sequence[Layer], plan: dict[str, Any], settings: ProjectionSettings) -> str:
    """Of all that changes what is found: photos, network, maps and grids, settings, and the way."""
    maps = {
        layer.name: [atlas.files.was(path) for path in atlas.files.committed(layer.home) if _is_of_map(path, layer)]
        for layer in layers
    }
    told = json.dumps([plan, maps, asdict(settings), _WAY], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def _is_of_map(path: str, layer: Layer) -> bool:
    return path == paths.layout(layer.home) or path in [paths.cells(layer.home, side) for side in layer.grid_sides]


def _is_made(files: AtlasFolder, key: str, made_of: str) -> bool:
    path = paths.projection_facts(key)
    return files.has(path) and files.read_json(path)["made_of"] == made_of


def _forget_others(scratch: Path) -> None:
    """What was begun with other photos, or of another map, and was not finished."""
    if scratch.parent.is_dir():
        for folder in scratch.parent.glob(".*"):
            if folder != scratch and folder.is_dir():
                durable.remove_folder(folder)


def _same_photos(atlas: Atlas, second: Atlas) -> dict[int, int]:
    """Ids of the second set's files that the atlas is made of too → their ids there: no photo is its own neighbour."""
    if not (atlas.has_photos and atlas.plan["images"]["has_files"] and second.plan["images"]["has_files"]):
        return {}
    own = dict(zip(atlas.images["path"], atlas.images["id"].tolist(), strict=True))
    pairs = zip(second.images["id"].tolist(), second.images["path"], strict=True)
    return {i: own[path] for i, path in pairs if path in own}


def _name_of(spec: str) -> str:
    """The folder's or list's own name: of "/data/production.csv" production."""
    last = re.split(r"[/\\:]", spec.rstrip("/\\"))[-1]
    return re.sub(r"\.(csv|txt|parquet|tar)$", "", last) or "photos"


def _key_of(name: str) -> str:
    """The name as a folder's. Raises UsageError where nothing of it is left."""
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    if not key:
        raise UsageError(f'"{name}" has no letter or digit to be kept by; give another --name')
    return key
