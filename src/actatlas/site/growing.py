"""The page of an atlas whose icons are still being painted, as it would be written at this moment.

A build writes its page before it paints, and again when all is done. In between whoever asks for a file of that page
gets it with the icons that were committed since; nothing is written, and nobody pays who does not look.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from actatlas.atlas import Atlas, Grid
from actatlas.bands import false_colours
from actatlas.site import data
from actatlas.site.pyramid import CELLS_PER_TILE, Geometry, Pyramid, cell_px, icon_picture, webp
from actatlas.store import AtlasFolder, pictures

_MOST_MAPS = 4  # that are held at half their size: 26 MB each of a grid of 80
_CELLS = re.compile(r"layers/([^/]+)/(\d+)/cells\.js")
_TILE = re.compile(r"layers/([^/]+)/(\d+)/tiles_files/(\d+)/(\d+)_(\d+)\.webp")


class GrowingSite:
    """Of the atlas in a folder. Many threads may ask."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._atlas_then: tuple[int, Atlas] | None = None
        self._maps: dict[tuple[str, int], _Map] = {}
        self._seen: list[_Map] = []
        self._lock = threading.Lock()

    def file(self, path: str) -> bytes | None:
        """A file of the site, by its path in it; None where it is as it was written."""
        cells, tile = _CELLS.fullmatch(path), _TILE.fullmatch(path)
        if path != "atlas.js" and cells is None and tile is None:
            return None
        with self._lock:
            atlas = self._atlas_now()
            if atlas is None:
                self._maps, self._seen = {}, []
                return None
            if cells is not None:
                return self._cells(path, self._map(atlas, cells[1], int(cells[2])))
            if tile is not None:
                level, column, row = (int(number) for number in tile.groups()[2:])
                shown = self._map(atlas, tile[1], int(tile[2]))
                self._keep(shown)
                return None if shown is None else shown.tile(level, column, row)
            return self._whole(atlas)

    def _atlas_now(self) -> Atlas | None:
        """None of a finished one. It is read again when its journal has grown."""
        journal = self._folder / "journal.jsonl"
        if (self._folder / "manifest.json").is_file() or not journal.is_file():
            return None
        size = journal.stat().st_size
        if self._atlas_then is None or self._atlas_then[0] != size:
            self._atlas_then = size, Atlas(AtlasFolder.existing(self._folder))
        return self._atlas_then[1]

    def _whole(self, atlas: Atlas) -> bytes:
        value = self._written("atlas.js")
        for layer in value["layers"]:
            for grid in layer["grids"]:
                shown = self._map(atlas, layer["slug"], grid["side"])
                grid["painted"] = grid["painted"] if shown is None else shown.painted
        return data.script("atlas", value | {"is_finished": False})

    def _cells(self, path: str, shown: _Map | None) -> bytes | None:
        if shown is None:
            return None
        value = self._written(path) | data.fidelity_value(shown.grid)
        return data.script(path.removesuffix(".js"), value)

    def _written(self, path: str) -> dict[str, Any]:
        return json.loads(data.data_of((self._folder / "site" / path).read_bytes()))

    def _map(self, atlas: Atlas, slug: str, side: int) -> _Map | None:
        """None of what is not painted by this build, such as a class's own atlas."""
        layers = {atlas.layer(name).slug: atlas.layer(name) for name in atlas.layer_names}
        if slug not in layers or side not in layers[slug].grid_sides:
            return None
        found = self._maps.setdefault((slug, side), _Map())
        found.take(layers[slug].grid(side))
        return found

    def _keep(self, shown: _Map | None) -> None:
        """The maps that were looked at last are held; what the others hold can be made again."""
        self._seen = [one for one in self._seen if one is not shown] + [one for one in [shown] if one is not None]
        for other in self._seen[:-_MOST_MAPS]:
            other.let_go()
        self._seen = self._seen[-_MOST_MAPS:]


class _Map:
    """One grid's icons so far.

    grid: as it was last read
    """

    def __init__(self) -> None:
        self.grid: Grid
        self._taken: list[str] = []
        self._icon_of: dict[int, tuple[str, int]] = {}  # by cell, the file that holds its icon, and which of it
        self._levels: dict[int, Image.Image] = {}

    @property
    def painted(self) -> int:
        """How many cells have an icon."""
        return len(self._icon_of)

    def take(self, grid: Grid) -> None:
        """Those that were committed since."""
        self.grid, found = grid, grid.icon_paths
        if found == self._taken:
            return
        self._levels.clear()
        if found[: len(self._taken)] != self._taken:  # painted anew
            self._taken, self._icon_of = [], {}
        for path in found[len(self._taken) :]:
            rows = grid.layer.atlas.files.read_arrays(path, ["rows"])["rows"]
            self._icon_of |= {k: (path, at) for at, k in enumerate(rows.tolist())}
        self._taken = found

    def let_go(self) -> None:
        self._levels.clear()

    def tile(self, level: int, column: int, row: int) -> bytes | None:
        """None where the map has no such tile."""
        geometry = Geometry(self.grid.side, cell_px(self.grid))
        if level > geometry.finest or max(column, row) >= geometry.tile_count(level):
            return None
        if level == geometry.finest:
            is_here = (self.grid.coordinates // CELLS_PER_TILE == (column, row)).all(axis=1)
            icons = dict(self._icons(np.flatnonzero(is_here).tolist()))
            return webp(Pyramid(geometry, self.grid.coordinates, icons.get).cells(column, row))
        picture, px = self._level(geometry, level), geometry.tile_px
        box = column * px, row * px, min((column + 1) * px, picture.width), min((row + 1) * px, picture.height)
        return webp(picture.crop(box))

    def _level(self, geometry: Geometry, level: int) -> Image.Image:
        """The whole map, at half the size of the level after it."""
        if level not in self._levels:
            is_half = level == geometry.finest - 1
            self._levels[level] = self._half(geometry) if is_half else self._level(geometry, level + 1).reduce(2)
        return self._levels[level]

    def _half(self, geometry: Geometry) -> Image.Image:
        """Cells begin and end at whole pixels, half a pixel off where a cell's side is odd."""
        px, size = geometry.cell_px / 2, -(-geometry.full_px // 2)
        picture = Image.new("RGBA", (size, size))
        for k, icon in self._icons(range(len(self.grid))):
            column, row = self.grid.coordinates[k].tolist()
            left, top, right, bottom = (int(edge * px) for edge in (column, row, column + 1, row + 1))
            picture.paste(icon.resize((right - left, bottom - top), Image.Resampling.BOX), (left, top))
        return picture

    def _icons(self, cells: Iterable[int]) -> Iterator[tuple[int, Image.Image]]:
        """Of some cells, in no order; each file is read once."""
        px = cell_px(self.grid)
        by_file: dict[str, list[tuple[int, int]]] = {}
        for k in cells:
            if k in self._icon_of:
                path, at = self._icon_of[k]
                by_file.setdefault(path, []).append((k, at))
            else:
                yield k, icon_picture(None, px)
        for path, found in by_file.items():
            stored = self.grid.layer.atlas.files.read_arrays(path, ("encoded", "offsets"))
            count = self.grid.layer.atlas.preprocessing.channel_count
            which = np.array([at for _, at in found])
            icons = false_colours(pictures.decode(**stored, which=which, channel_count=count))
            yield from ((k, icon_picture(icon, px)) for (k, _), icon in zip(found, icons, strict=True))
