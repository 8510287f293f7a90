"""The map's other two views of the same cells: the real patch nearest a cell's mean, and the average of its patches."""

from __future__ import annotations

import numpy as np
from PIL import Image

from actatlas.atlas import Grid
from actatlas.site.pool import Pool
from actatlas.site.pyramid import Geometry, Pyramid

VIEWS = ("patches", "average")
QUALITY = 75
_MANY_CELLS = 2_000
_PX_OF_MANY = 40


def view_px(pool: Pool, grid: Grid) -> int:
    """Side of a cell in these views: as large as the pool's patches, and smaller where there are many cells."""
    return pool.size_px if len(grid) <= _MANY_CELLS else min(pool.size_px, _PX_OF_MANY)


def view_geometry(pool: Pool, grid: Grid) -> Geometry:
    return Geometry(grid.side, view_px(pool, grid))


def view_pyramid(view: str, pool: Pool, grid: Grid, patches: np.ndarray) -> Pyramid:
    """patches: (P, px, px, 3) uint8 of the pool"""
    px, of_cells = view_px(pool, grid), pool.of_cells[grid.side]

    def picture(k: int) -> Image.Image | None:
        own = of_cells[k] if view == "average" else of_cells[k][:1]
        if not own:
            return None
        mean = np.rint(patches[own].mean(axis=0)).astype(np.uint8)
        return Image.fromarray(mean).resize((px, px), Image.Resampling.LANCZOS)

    return Pyramid(view_geometry(pool, grid), grid.coordinates, picture)
