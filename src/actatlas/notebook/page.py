"""What a page in a notebook begins with: the app, and the files that its first screen needs, so that it is drawn even
while Python has other cells to run.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from actatlas.atlas import Atlas, Grid, Layer
from actatlas.errors import UnfinishedAtlas, UsageError
from actatlas.progress import Progress
from actatlas.site import (
    SiteFiles,
    held_text,
    held_value,
    is_behind,
    public_title,
    renew_own_site,
    single_page,
)
from actatlas.site.data import grid_folder
from actatlas.site.pyramid import Geometry, cell_px, tile_name

_FIRST_BYTES = 3_000_000  # of the files that come with the page; the rest is asked for
_LEAST_LEVEL = 8  # of tiles, as web/src/map/map.ts has it


class AtlasPage:
    """The page of an atlas, with what was found out about it by now.

    Raises UnfinishedAtlas where there is none yet, Locked while another process writes it.
    """

    def __init__(self, atlas: Atlas, progress: Progress):
        self.atlas = atlas
        self.files = SiteFiles(atlas.folder)
        if is_behind(atlas, self.files):
            renew_own_site(atlas, progress)
            self.files = SiteFiles(atlas.folder)

    def value(self, path: str) -> Any:
        """What the page asks for by a file's path: a picture's data: URL, or a data file's value. Raises KeyError."""
        return json.loads(self._held(path))

    def html(self, start: Start) -> str:
        """The page, with what it needs to draw a grid."""
        shown = start.layer.grid(start.side)
        coarsest = [layer.grid(layer.grid_sides[0]) for layer in layers_of(self.atlas).values()]
        wanted = ["atlas.js", "names.js", "tour.js", f"{grid_folder(start.layer.slug, start.side)}/cells.js"]
        wanted += [*_tiles(shown), *(next(_tiles(grid)) for grid in coarsest)]
        held: dict[str, str] = {}
        size = 0
        for path in dict.fromkeys(wanted):
            try:
                value = self._held(path)
            except KeyError:
                continue
            if size + len(value) <= _FIRST_BYTES:
                held[path] = value
                size += len(value)
        return single_page(public_title(self.atlas), held_text(held), asks=True).decode("utf-8", "replace")

    def _held(self, path: str) -> str:
        content = self.files.read(path)
        value = None if content is None else held_value(path, content)
        if value is None:
            raise KeyError(path)
        return value


def _tiles(grid: Grid) -> Iterator[str]:
    """Names of the tiles that a map of any size may show, the small ones first; the first is the layer's thumbnail."""
    geometry = Geometry(grid.side, cell_px(grid))
    for level in range(min(_LEAST_LEVEL, geometry.finest), geometry.finest + 1):
        for row, column in itertools.product(range(geometry.tile_count(level)), repeat=2):
            yield f"{grid_folder(grid.layer.slug, grid.side)}/tiles_files/{tile_name(level, column, row)}"


def layers_of(atlas: Atlas) -> dict[str, Layer]:
    """Those that have a grid, by the names that the page has for them: the layers, and the atlases of classes."""
    every = [*(atlas.layer(name) for name in atlas.layer_names), *atlas.class_atlases]
    return {layer.title: layer for layer in every if layer.grid_sides}


@dataclass(frozen=True)
class Start:
    """Where a page begins.

    side: of the grid; cell: column and row of the one that is open
    """

    layer: Layer
    side: int
    cell: tuple[int, int] | None
    is_chosen: bool  # or is what the page would show by itself

    @classmethod
    def of(cls, atlas: Atlas, layer: str | Layer | None, grid: int | None, cell: tuple[int, int] | None) -> Start:
        """layer: its name, or an atlas of a class; None takes the latest; grid: None its coarsest.

        Raises LayerNotFound, and UsageError for a grid or a cell that is not there.
        """
        layers = layers_of(atlas)
        if not layers:
            raise UnfinishedAtlas(f"{atlas.folder} has no grid yet; run its build command again, which continues")
        latest = [name for name in atlas.layer_names if name in layers][-1:]
        name = layer.title if isinstance(layer, Layer) else layer or latest[0]
        chosen = layers.get(name) or atlas.layer(name)
        side = chosen.grid_sides[0] if grid is None else grid
        shown = chosen.grid(side)
        if cell is not None:
            if len(cell) != 2:
                raise UsageError(f"cell is {cell!r}; give a column and a row, such as (12, 7)")
            shown.cell_at(*cell)
        return cls(chosen, side, cell, (layer, grid, cell) != (None, None, None))

    @property
    def address(self) -> str:
        """As behind the # of the page; empty where it begins there by itself."""
        if not self.is_chosen:
            return ""
        cell = f"&cell={self.cell[0]},{self.cell[1]}" if self.cell is not None else ""
        return f"#layer={quote(self.layer.title, safe=',/:')}&grid={self.side}{cell}"
