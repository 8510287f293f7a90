"""Writes the page of an atlas: the app as built, and for each grid its tiles, its cells and its patches."""

from __future__ import annotations

import hashlib
import html
import io
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from PIL import Image

from actatlas.atlas import Atlas, Grid, Layer
from actatlas.errors import ImageError, MissingExtra
from actatlas.progress import Progress, Silent
from actatlas.site import data
from actatlas.site.examples import sheet_name, sheet_names, sheets
from actatlas.site.findings import confusion_pictures, confusions_value, traces_value
from actatlas.site.numbers import blocks, number_counts, numbers
from actatlas.site.pyramid import Pyramid
from actatlas.store import paths

# What `npm run build` in web/ makes. page.html is the frame of index.html.
APP_FILES = ("app.js", "app.css", "icon.svg", "THIRD-PARTY.txt")

Write = Callable[[Path, bytes], None]


def write_site(
    atlas: Atlas, out: Path, write: Write, progress: Progress | None = None, has: Callable[[Path], bool] | None = None
) -> Path:
    """Write the atlas's page into `out`; the path of its index.html, which is written last.

    Equal atlases give equal bytes. A growing atlas may be written again and again: what is not painted yet is grey.
    `write` puts bytes at a path, and makes folders; patches that `has` says are there already are not made again.
    """
    progress = progress or Silent()
    for name in APP_FILES:
        write(out / name, static_file(name))
    grids = [(layer, side) for layer in data.shown_layers(atlas) for side in layer.grid_sides]
    with_patches: dict[str, bool] = {}
    with progress.stage("Writing the page", sum(len(layer.grid(side)) for layer, side in grids), "cells") as tick:
        for layer, side in grids:
            grid = layer.grid(side)
            name = data.grid_folder(layer.slug, side)
            _write_tiles(grid, out / name, write)
            with_patches[name] = _write_examples(grid, out / name, write, progress, has)
            _write_numbers(grid, name, out, write, has)
            write(out / name / "cells.js", data.script(f"{name}/cells", data.cells_value(grid)))
            tick(len(grid))
    _write_findings(atlas, out, write)
    names = data.names_value(atlas)
    if names is not None:
        write(out / "names.js", data.script("names", names))
    write(out / "columns.js", data.script("columns", data.columns_value(atlas)))
    write(out / "atlas.js", data.script("atlas", data.atlas_value(atlas, with_patches)))
    write(out / "index.html", _page(atlas))
    return out / "index.html"


def write_own_site(atlas: Atlas, progress: Progress) -> Path:
    """The page in the atlas's own folder, committed there file by file; patches that are there are not made again."""
    files, root = atlas.files, atlas.folder
    return write_site(
        atlas,
        root / "site",
        lambda path, data: files.write(path.relative_to(root).as_posix(), data),
        progress,
        lambda path: files.has(path.relative_to(root).as_posix()),
    )


def static_file(name: str) -> bytes:
    return resources.files("actatlas.site").joinpath("static", name).read_bytes()


def _write_tiles(grid: Grid, folder: Path, write: Write) -> None:
    pyramid = Pyramid(grid)
    for level, column, row, tile in pyramid.tiles():
        write(folder / "tiles_files" / str(level) / f"{column}_{row}.webp", _webp(tile))
    write(folder / "tiles.dzi", pyramid.descriptor())


def _write_findings(atlas: Atlas, out: Path, write: Write) -> None:
    """Those that there are."""
    for name, path in confusion_pictures(atlas):
        picture = Image.open(io.BytesIO(atlas.files.read_bytes(path))).convert("RGB")
        write(out / name, _jpeg(picture))
    found = {"confusions": confusions_value(atlas), "traces": traces_value(atlas)}
    if data.has_tour(atlas):
        found["tour"] = atlas.files.read_json(paths.TOUR)
    for key, value in found.items():
        if value:
            write(out / f"{key}.js", data.script(key, value))


def _write_numbers(grid: Grid, name: str, out: Path, write: Write, has: Callable[[Path], bool] | None) -> None:
    """What does not change while icons are painted: written once."""
    if has is not None and has(out / name / "photos.js"):
        return
    for kind in number_counts(grid):
        for block in blocks(numbers(grid, kind)):
            key = f"{name}/{kind}/{block.number}"
            write(out / f"{key}.js", data.script(key, block.value))
    # Last, and even where it says nothing: with it the rest is there.
    write(out / name / "photos.js", data.script(f"{name}/photos", data.photos_value(grid)))


def _write_examples(
    grid: Grid, folder: Path, write: Write, progress: Progress, has: Callable[[Path], bool] | None
) -> bool:
    """Whether there are patches. A page without them is better than none, where the photos are no longer to be had."""
    if has is not None and all(has(folder / "examples" / name) for name in sheet_names(grid)):
        return True
    try:
        has_any = False
        for block, sheet in sheets(grid):
            has_any = True
            write(folder / "examples" / sheet_name(block), _jpeg(sheet))
        return has_any
    except (ImageError, MissingExtra) as error:
        layer: Layer = grid.layer
        progress.say(f"{layer.name}, {grid.side} × {grid.side}: the page shows no patches of photos ({error})")
        return False


def _webp(picture: Image.Image) -> bytes:
    """An alpha channel that hides nothing is left out."""
    if picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80, method=4)
    return buffer.getvalue()


def _jpeg(picture: Image.Image) -> bytes:
    """For patches: they were JPEG once, and there are so many that WebP's slower encoding would be felt."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=75, optimize=True)
    return buffer.getvalue()


def _page(atlas: Atlas) -> bytes:
    """index.html. The app's hash in its address makes browsers fetch it anew when it has changed."""
    page = static_file("page.html").decode()
    for name in ("app.js", "app.css"):
        page = page.replace(f"{name}?v=0", f"{name}?v={hashlib.sha256(static_file(name)).hexdigest()[:12]}")
    return page.replace("<!--title-->", html.escape(atlas.title)).encode("utf-8", "replace")
