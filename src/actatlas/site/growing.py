"""The page of an atlas whose icons are still being painted, as it would be written at this moment.

A build writes its page before it paints, and again when all is done. In between whoever asks for a file of that page
gets it with the icons that were committed since; nothing is written, and nobody pays who does not look.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from actatlas.atlas import Atlas, Grid
from actatlas.site import data
from actatlas.site.pyramid import UNPAINTED, UNPAINTED_EDGE, Geometry, Pyramid, cell_px, webp
from actatlas.store import AtlasFolder, pictures

_MOST_MAPS = 4  # that are held at half their size: 26 MB each of a grid of 80
_CELLS = re.compile(r"layers/([^/]+)/(\d+)/cells\.js")
_TILE = re.compile(r"layers/([^/]+)/(\d+)/tiles_files/(\d+)/(\d+)_(\d+)\.webp")


class GrowingSite:
    """Of the atlas in a folder. Many threads may ask."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._atlas_then: tuple[int, Atlas] | None = None
        self._maps: OrderedDict[tuple[str, int], _Map] = OrderedDict()
        self._lock = threading.Lock()

    def file(self, path: str) -> bytes | None:
        """A file of the site, by its path in it; None where it is as it was written."""
        cells, tile = _CELLS.fullmatch(path), _TILE.fullmatch(path)
        if path != "atlas.js" and cells is None and tile is None:
            return None
        with self._lock:
            atlas = self._atlas_now()
            if atlas is None:
                self._maps.clear()
                return None
            if cells is not None:
                return self._cells(path, self._map(atlas, cells[1], int(cells[2])))
            if tile is not None:
                level, column, row = (int(number) for number in tile.groups()[2:])
                shown = self._map(atlas, tile[1], int(tile[2]))
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
        return data.script("atlas", value)

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
        key = (slug, side)
        if key not in self._maps:
            self._maps[key] = _Map()
        self._maps.move_to_end(key)
        self._maps[key].take(layers[slug].grid(side))
        for other in list(self._maps)[:-_MOST_MAPS]:
            self._maps[other].shrink()
        return self._maps[key]


class _Map:
    """One grid's icons so far.

    grid: as it was last read; painted: how many cells have an icon
    """

    def __init__(self) -> None:
        self.painted = 0
        self.grid: Grid
        self._taken: list[str] = []
        self._icon_of: dict[int, tuple[str, int]] = {}  # by cell, the file that holds its icon, and which of it
        self._levels: dict[int, Image.Image] = {}

    def take(self, grid: Grid) -> None:
        """Those that were committed since."""
        self.grid = grid
        if not all(map(grid.layer.atlas.files.has, self._taken)):  # painted anew
            self._taken, self._icon_of = [], {}
        for path, rows in grid.icon_files(self._taken):
            self._taken.append(path)
            self._icon_of |= {k: (path, at) for at, k in enumerate(rows.tolist())}
            self._levels.clear()
        self.painted = len(self._icon_of)

    def shrink(self) -> None:
        """Let go of what can be made again."""
        self._levels.clear()

    def tile(self, level: int, column: int, row: int) -> bytes | None:
        """None where the map has no such tile."""
        geometry = self._geometry
        if level > geometry.finest or max(column, row) >= geometry.tile_count(level):
            return None
        if level == geometry.finest:
            return webp(Pyramid(geometry, self.grid.coordinates, self._icon).cells(column, row))
        picture, px = self._level(level), geometry.tile_px
        box = column * px, row * px, min((column + 1) * px, picture.width), min((row + 1) * px, picture.height)
        return webp(picture.crop(box))

    @property
    def _geometry(self) -> Geometry:
        return Geometry(self.grid.side, cell_px(self.grid))

    def _level(self, level: int) -> Image.Image:
        """The whole map, at half the size of the level after it."""
        if level not in self._levels:
            is_half = level == self._geometry.finest - 1
            self._levels[level] = self._half() if is_half else self._level(level + 1).reduce(2)
        return self._levels[level]

    def _half(self) -> Image.Image:
        """Cells begin and end at whole pixels, half a pixel off where a cell's side is odd."""
        px = cell_px(self.grid) / 2
        size = -(-self._geometry.full_px // 2)
        picture = Image.new("RGBA", (size, size))
        by_file: dict[str, list[tuple[int, int]]] = {}
        for k, (path, at) in self._icon_of.items():
            by_file.setdefault(path, []).append((k, at))
        pen = ImageDraw.Draw(picture)
        for k in sorted(set(range(len(self.grid))) - set(self._icon_of)):
            left, top, right, bottom = self._box(k, px)
            pen.rectangle((left, top, right - 1, bottom - 1), fill=UNPAINTED, outline=UNPAINTED_EDGE)
        for path, cells in by_file.items():
            icons = _icons_of(self.grid, path, np.array([at for _, at in cells]))
            for (k, _), icon in zip(cells, icons, strict=True):
                left, top, right, bottom = self._box(k, px)
                small = Image.fromarray(icon).resize((right - left, bottom - top), Image.Resampling.BOX)
                picture.paste(small, (left, top))
        return picture

    def _box(self, k: int, px: float) -> tuple[int, int, int, int]:
        column, row = self.grid.coordinates[k].tolist()
        left, top, right, bottom = (int(edge * px) for edge in (column, row, column + 1, row + 1))
        return left, top, right, bottom

    def _icon(self, k: int) -> Image.Image:
        px = cell_px(self.grid)
        if k not in self._icon_of:
            picture = Image.new("RGB", (px, px), UNPAINTED)
            ImageDraw.Draw(picture).rectangle((0, 0, px - 1, px - 1), outline=UNPAINTED_EDGE)
            return picture
        path, at = self._icon_of[k]
        picture = Image.fromarray(_icons_of(self.grid, path, np.array([at]))[0])
        return picture if picture.width == px else picture.resize((px, px), Image.Resampling.LANCZOS)


def _icons_of(grid: Grid, path: str, which: np.ndarray) -> np.ndarray:
    arrays: Mapping[str, np.ndarray] = grid.layer.atlas.files.read_arrays(path, ("encoded", "offsets"))
    return pictures.decode(arrays["encoded"], arrays["offsets"], which)
