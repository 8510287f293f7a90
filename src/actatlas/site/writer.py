"""Writes the page of an atlas: the app as built, for each layer its patches, for each grid its tiles and its cells."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from actatlas.atlas import Atlas, Grid, Layer
from actatlas.errors import UnfinishedAtlas, UsageError
from actatlas.progress import Progress, Silent
from actatlas.site import data
from actatlas.site.about import about_value, flat_settings
from actatlas.site.findings import (
    confusion_pictures,
    confusions_value,
    projection_pictures,
    projections_value,
    tour_value,
    traces_value,
)
from actatlas.site.frame import index_page, static_file
from actatlas.site.numbers import Block, block_count, blocks, number_counts, numbers
from actatlas.site.patching import Earlier, PatchWriter, Write
from actatlas.site.pyramid import icon_pyramid, webp
from actatlas.site.serving import SiteFiles
from actatlas.site.settings import SiteSettings
from actatlas.store import AtlasFolder, writing
from actatlas.store.pictures import jpeg
from actatlas.values import Examples

# What `npm run build` in web/ makes. page.html is the frame of index.html.
APP_FILES = ("app.js", "app.css", "icon.svg", "THIRD-PARTY.txt")

# All that a site's folder may hold.
SITE_NAMES = (
    *APP_FILES, "index.html", "atlas.js", "about.js", "names.js", "columns.js", "confusions.js", "projections.js",
    "traces.js", "tour.js", "layers", "confusions", "projections", "thumbs", "originals",
)  # fmt: skip
_QUALITY = 75  # of the pictures of misunderstandings
# In the atlas folder, and no part of its site: how the site was written.
RECORD = "site.json"


def write_site(
    atlas: Atlas,
    out: Path,
    write: Write,
    progress: Progress | None = None,
    settings: SiteSettings | None = None,
    earlier: Earlier | None = None,
) -> Path:
    """Write the atlas's page into `out`; the path of its index.html, which is written last.

    Equal atlases give equal bytes. A growing atlas may be written again and again: what is not painted yet is grey.
    `write` puts bytes at a path, and makes folders.
    """
    progress, settings = progress or Silent(), settings or SiteSettings()
    if atlas.shows_photos and settings.examples == "none":
        raise UsageError(
            f"{atlas.folder}: its cells' pictures are photos, for it was made of vectors alone; --examples none would "
            "leave nothing, so give patches, or build it with --model and --layer"
        )
    layers = settings.layers_of(atlas)
    if not any(settings.sides_of(layer) for layer in layers):
        raise UnfinishedAtlas(f"{atlas.folder} has no cells yet; run its build command again, which continues")
    for name in APP_FILES:
        write(out / name, static_file(name))
    patches = PatchWriter(atlas, out, write, settings, earlier)
    pools = patches.write(layers, progress)
    grids = [layer.grid(side) for layer in layers for side in settings.sides_of(layer)]
    with progress.stage("Writing the page", sum(map(len, grids)), "cells") as tick:
        for grid in grids:
            slug = grid.layer.slug
            name = data.grid_folder(slug, grid.side)
            _write_tiles(grid, out / name, write)
            _write_numbers(grid, out / name, name, write, earlier)
            write(out / name / "cells.js", data.script(f"{name}/cells", data.cells_value(grid, pools.get(slug))))
            tick(len(grid))
    told = about_value(atlas)
    write(out / "about.js", data.script("about", told | {"settings": flat_settings(told["settings"])}))
    found = _write_findings(atlas, out, write, settings)
    write(out / "atlas.js", data.script("atlas", data.atlas_value(atlas, settings, pools, patches.shown, found)))
    write(out / "index.html", index_page(data.public_title(atlas)))
    return out / "index.html"


def write_own_site(atlas: Atlas, progress: Progress, examples: Examples | None = None) -> Path:
    """The page in the atlas's own folder, committed there file by file; patches that are there are not made again.

    examples: None for what was shown when the page was last written, at first patches
    """
    files, root = atlas.files, atlas.folder
    settings = SiteSettings(own_examples(atlas) if examples is None else examples)
    written: set[Path] = set()

    def write(path: Path, content: bytes) -> None:
        files.write(path.relative_to(root).as_posix(), content)
        written.add(path)

    earlier = Earlier(lambda path: files.has(path.relative_to(root).as_posix()), _record(atlas)["patches"])
    page = write_site(atlas, root / "site", write, progress, settings, earlier)
    for name in files.committed("site/"):
        if root / name not in written | earlier.kept:  # of an earlier form of the page, or more than it is to show
            files.forget(name)
    files.write_json(RECORD, {"examples": settings.examples, "patches": earlier.choices})
    return page


def renew_own_site(atlas: Atlas, progress: Progress, examples: Examples | None = None) -> None:
    """The page of a finished atlas anew: what was found out since may be newer than it. Raises Locked."""
    with writing(atlas.folder):
        files = AtlasFolder.existing(atlas.folder)
        with files.reopened():
            write_own_site(Atlas(files), progress, examples)


def is_behind(atlas: Atlas, files: SiteFiles) -> bool:
    """Whether the page of a finished atlas lacks what was made, named or found out since it was written."""
    if not atlas.is_finished:
        return False
    told = _told(files, "atlas") or {"layers": []}
    titles = [atlas.layer(name).title for name in atlas.layer_names] + [one.title for one in atlas.class_atlases]
    settings = SiteSettings(own_examples(atlas))
    found = {
        "confusions": confusions_value(atlas, settings),
        "projections": projections_value(atlas, settings),
        "traces": traces_value(atlas, settings),
    }
    is_told = all(json.loads(json.dumps(value)) == (_told(files, key) or []) for key, value in found.items())
    if not is_told or titles != [layer["name"] for layer in told["layers"]]:
        return True
    return any(_lacks_directions(atlas.layer(name), settings, told, files) for name in atlas.layer_names)


def _lacks_directions(layer: Layer, settings: SiteSettings, told: dict[str, Any], files: SiteFiles) -> bool:
    """Whether they, or their names, are others than the page's."""
    named = [one.get("directions") for one in told["layers"] if one["name"] == layer.title]
    folders = {data.grid_folder(layer.slug, side): layer.grid(side) for side in settings.sides_of(layer)}
    kept = [(f"{name}/directions/{b.number}", b.value) for name, g in folders.items() for b in _direction_blocks(g)]
    return named != [list(layer.kept_directions)] or any(_told(files, key) != value for key, value in kept)


def _told(files: SiteFiles, key: str) -> Any:
    content = files.read(f"{key}.js")
    return None if content is None else json.loads(data.data_of(content))


def own_examples(atlas: Atlas) -> Examples:
    """What the page in the atlas's own folder was asked to show of photos; none where the atlas knows of none."""
    return _record(atlas)["examples"] if atlas.has_photos else "none"


def _record(atlas: Atlas) -> dict[str, Any]:
    return atlas.files.read_json(RECORD) if atlas.files.has(RECORD) else {"examples": "patches", "patches": {}}


def _write_tiles(grid: Grid, folder: Path, write: Write) -> None:
    pyramid = icon_pyramid(grid)
    for tile in pyramid.tiles():
        write(folder / "tiles_files" / tile.name, webp(tile.picture))
    write(folder / "tiles.dzi", pyramid.geometry.descriptor())


def _write_findings(atlas: Atlas, out: Path, write: Write, settings: SiteSettings) -> dict[str, Any]:
    """What is known of the whole atlas, by the name of its file; only those are written that say something."""
    for name, path in [*confusion_pictures(atlas, settings), *projection_pictures(atlas, settings)]:
        picture = Image.open(io.BytesIO(atlas.files.read_bytes(path))).convert("RGB")
        write(out / name, jpeg(picture, _QUALITY))
    found = {
        "confusions": confusions_value(atlas, settings),
        "projections": projections_value(atlas, settings),
        "traces": traces_value(atlas, settings),
        "tour": tour_value(atlas, settings),
        "names": data.names_value(atlas),
        "columns": data.columns_value(atlas),
    }
    for key, value in found.items():
        if value:
            write(out / f"{key}.js", data.script(key, value))
    return found


def _write_numbers(grid: Grid, folder: Path, name: str, write: Write, earlier: Earlier | None) -> None:
    """Written once, for it does not change while icons are painted; directions may be named at any time."""
    counts = number_counts(grid)
    for number, value in _direction_blocks(grid):
        write(folder / "directions" / f"{number}.js", data.script(f"{name}/directions/{number}", value))
    lasting = {kind: count for kind, count in counts.items() if kind != "directions"}
    numbered = [f"{kind}/{i}.js" for kind, count in lasting.items() for i in range(block_count(count, len(grid)))]
    if earlier is not None and earlier.keeps([folder / file for file in [*numbered, "photos.js"]]):
        return
    for kind in lasting:
        for block in blocks(numbers(grid, kind)):
            write(folder / kind / f"{block.number}.js", data.script(f"{name}/{kind}/{block.number}", block.value))
    # Last, and even where it says nothing: with it the rest is there.
    write(folder / "photos.js", data.script(f"{name}/photos", data.photos_value(grid)))


def _direction_blocks(grid: Grid) -> list[Block]:
    """Asked at every view of the atlas too: where nobody named any, nothing of the grid is read."""
    is_any = grid.layer.kept_directions and grid.has_means and len(grid)
    return list(blocks(numbers(grid, "directions"))) if is_any else []
