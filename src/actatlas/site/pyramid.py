"""A grid's cells as a Deep Zoom pyramid. A tile of the finest level is 8 × 8 whole cells, so no picture has a seam."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from actatlas.atlas import Grid

CELLS_PER_TILE = 8
MOST_CELL_PX = 128
_UNPAINTED, _UNPAINTED_EDGE = (128, 128, 128), (112, 112, 112)


class Tile(NamedTuple):
    """picture: RGBA, at most tile_px on a side, smaller at the right and lower edge."""

    level: int
    column: int
    row: int
    picture: Image.Image

    @property
    def name(self) -> str:
        return tile_name(self.level, self.column, self.row)


def tile_name(level: int, column: int, row: int) -> str:
    return f"{level}/{column}_{row}.webp"


class Geometry:
    """Of a grid of `side` × `side` cells, each `cell_px` at the finest level; level 0 is one pixel."""

    def __init__(self, side: int, cell_px: int):
        self.side = side
        self.cell_px = cell_px
        self.tile_px = cell_px * CELLS_PER_TILE
        self.full_px = cell_px * side
        self.finest = (self.full_px - 1).bit_length()

    def descriptor(self) -> bytes:
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" '
            f'Format="webp" Overlap="0" TileSize="{self.tile_px}">'
            f'<Size Width="{self.full_px}" Height="{self.full_px}"/></Image>\n'
        ).encode()

    def tile_count(self, level: int) -> int:
        """Along an edge."""
        level_px = -(-self.full_px // 2 ** (self.finest - level))
        return -(-level_px // self.tile_px)

    def tile_names(self) -> Iterator[str]:
        for level in range(self.finest + 1):
            count = self.tile_count(level)
            yield from (tile_name(level, column, row) for row in range(count) for column in range(count))


class Pyramid:
    """Levels 0 (one pixel) to `geometry.finest` (cells at cell_px), as the Deep Zoom Image format has them.

    picture_of: of cell k, RGB, cell_px on a side; None where it has none
    Squares without a cell, or without a picture, are transparent: the page decides what is behind them.
    """

    def __init__(self, geometry: Geometry, coordinates: np.ndarray, picture_of: Callable[[int], Image.Image | None]):
        self.geometry = geometry
        self._picture_of = picture_of
        self._cell_at = {(int(c), int(r)): k for k, (c, r) in enumerate(coordinates)}

    def tiles(self) -> Generator[Tile, None, Image.Image]:
        """Every tile, the finer before the coarser that is made of them: memory holds four tiles a level."""
        return self._tiles_under(0, 0, 0)

    def _tiles_under(self, level: int, column: int, row: int) -> Generator[Tile, None, Image.Image]:
        """The tiles that this one is made of, then itself; returns its picture."""
        if level == self.geometry.finest:
            picture = self.cells(column, row)
        else:
            finer_count = self.geometry.tile_count(level + 1)
            quarters = []
            for r in range(2 * row, min(2 * row + 2, finer_count)):
                for c in range(2 * column, min(2 * column + 2, finer_count)):
                    quarter = yield from self._tiles_under(level + 1, c, r)
                    quarters.append((c - 2 * column, r - 2 * row, quarter))
            picture = self._joined(quarters).reduce(2)
        yield Tile(level, column, row, picture)
        return picture

    def _joined(self, quarters: list[tuple[int, int, Image.Image]]) -> Image.Image:
        px = self.geometry.tile_px
        width = max(x * px + quarter.width for x, _, quarter in quarters)
        height = max(y * px + quarter.height for _, y, quarter in quarters)
        joined = Image.new("RGBA", (width, height))
        for x, y, quarter in quarters:
            joined.paste(quarter, (x * px, y * px))
        return joined

    def cells(self, column: int, row: int) -> Image.Image:
        """A tile of the finest level, RGBA."""
        side, px = self.geometry.side, self.geometry.cell_px
        first_column, first_row = column * CELLS_PER_TILE, row * CELLS_PER_TILE
        columns = min(CELLS_PER_TILE, side - first_column)
        rows = min(CELLS_PER_TILE, side - first_row)
        picture = Image.new("RGBA", (columns * px, rows * px))
        for r in range(rows):
            for c in range(columns):
                k = self._cell_at.get((first_column + c, first_row + r))
                cell = None if k is None else self._picture_of(k)
                if cell is not None:
                    picture.paste(cell, (c * px, r * px))
        return picture


def icon_pyramid(grid: Grid) -> Pyramid:
    """Of the icons, as painted; those that are still to be painted are grey."""
    px = cell_px(grid)

    def icon(k: int) -> Image.Image:
        return icon_picture(grid.icons[k] if grid.is_painted[k] else None, px)

    return Pyramid(Geometry(grid.side, px), grid.coordinates, icon)


def icon_picture(pixels: np.ndarray | None, px: int) -> Image.Image:
    """(S, S, 3) uint8, `px` on a side; None, of a cell that is not painted yet, is grey with an edge: else a growing
    atlas is one grey heap."""
    if pixels is None:
        picture = Image.new("RGB", (px, px), _UNPAINTED)
        ImageDraw.Draw(picture).rectangle((0, 0, px - 1, px - 1), outline=_UNPAINTED_EDGE)
        return picture
    picture = Image.fromarray(pixels)
    return picture if picture.width == px else picture.resize((px, px), Image.Resampling.LANCZOS)


def cell_px(grid: Grid) -> int:
    """Side of an icon on the page: as painted, up to a limit."""
    return min(grid.layer.icon_px, MOST_CELL_PX)


def webp(picture: Image.Image, quality: int = 80) -> bytes:
    """An alpha channel that hides nothing is left out."""
    if picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()
