"""A grid's icons as a Deep Zoom pyramid. A tile of the finest level is 8 × 8 whole icons, so no icon has a seam."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

from PIL import Image, ImageDraw

from actatlas.atlas import Grid

CELLS_PER_TILE = 8
MOST_CELL_PX = 128


class Tile(NamedTuple):
    """picture: RGBA, at most tile_px on a side, smaller at the right and lower edge."""

    level: int
    column: int
    row: int
    picture: Image.Image


class Pyramid:
    """Levels 0 (one pixel) to `finest` (icons at cell_px), as the Deep Zoom Image format has them.

    Squares without a cell are transparent: the page decides what is behind them.
    """

    def __init__(self, grid: Grid):
        self.grid = grid
        self.cell_px = cell_px(grid)
        self.tile_px = self.cell_px * CELLS_PER_TILE
        self.full_px = self.cell_px * grid.side
        self.finest = (self.full_px - 1).bit_length()
        self._icon_at = {(int(c), int(r)): k for k, (c, r) in enumerate(grid.coordinates)}

    def descriptor(self) -> bytes:
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" '
            f'Format="webp" Overlap="0" TileSize="{self.tile_px}">'
            f'<Size Width="{self.full_px}" Height="{self.full_px}"/></Image>\n'
        ).encode()

    def tiles(self) -> Generator[Tile, None, Image.Image]:
        """Every tile, the finer before the coarser that is made of them: memory holds four tiles a level."""
        return self._tiles_under(0, 0, 0)

    def tile_count(self, level: int) -> int:
        """Along an edge."""
        level_px = -(-self.full_px // 2 ** (self.finest - level))
        return -(-level_px // self.tile_px)

    def _tiles_under(self, level: int, column: int, row: int) -> Generator[Tile, None, Image.Image]:
        """The tiles that this one is made of, then itself; returns its picture."""
        if level == self.finest:
            picture = self._icons(column, row)
        else:
            finer_count = self.tile_count(level + 1)
            quarters = []
            for r in range(2 * row, min(2 * row + 2, finer_count)):
                for c in range(2 * column, min(2 * column + 2, finer_count)):
                    quarter = yield from self._tiles_under(level + 1, c, r)
                    quarters.append((c - 2 * column, r - 2 * row, quarter))
            picture = self._joined(quarters).reduce(2)
        yield Tile(level, column, row, picture)
        return picture

    def _joined(self, quarters: list[tuple[int, int, Image.Image]]) -> Image.Image:
        width = max(x * self.tile_px + quarter.width for x, _, quarter in quarters)
        height = max(y * self.tile_px + quarter.height for _, y, quarter in quarters)
        joined = Image.new("RGBA", (width, height))
        for x, y, quarter in quarters:
            joined.paste(quarter, (x * self.tile_px, y * self.tile_px))
        return joined

    def _icons(self, column: int, row: int) -> Image.Image:
        first_column, first_row = column * CELLS_PER_TILE, row * CELLS_PER_TILE
        columns = min(CELLS_PER_TILE, self.grid.side - first_column)
        rows = min(CELLS_PER_TILE, self.grid.side - first_row)
        picture = Image.new("RGBA", (columns * self.cell_px, rows * self.cell_px))
        for r in range(rows):
            for c in range(columns):
                k = self._icon_at.get((first_column + c, first_row + r))
                if k is not None:
                    picture.paste(self._icon(k), (c * self.cell_px, r * self.cell_px))
        return picture

    def _icon(self, k: int) -> Image.Image:
        icon = Image.fromarray(self.grid.icons[k])
        if not self.grid.is_painted[k]:  # else a growing atlas is one grey heap
            ImageDraw.Draw(icon).rectangle((0, 0, icon.width - 1, icon.height - 1), outline=(112, 112, 112))
        if icon.width != self.cell_px:
            icon = icon.resize((self.cell_px, self.cell_px), Image.Resampling.LANCZOS)
        return icon


def cell_px(grid: Grid) -> int:
    """Side of an icon on the page: as painted, up to a limit."""
    return min(int(grid.icons.shape[1]), MOST_CELL_PX)
