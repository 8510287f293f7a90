"""Directions that are not a channel: from a file, or between cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actatlas.atlas import Atlas
from actatlas.errors import UsageError
from actatlas.given import read_columns


def read_vector(path: str | Path) -> np.ndarray:
    """(C,) float32 of a file that holds one array, as `build --vectors` takes it. Raises UsageError, MissingExtra."""
    arrays, where = read_columns(path, "a direction")
    if len(arrays) != 1:
        raise UsageError(f"{where} holds {len(arrays)} arrays ({', '.join(sorted(arrays))}); a direction is one alone")
    (vector,) = arrays.values()
    if vector.size != max(vector.shape, default=0) or not np.issubdtype(vector.dtype, np.number):
        raise UsageError(f"{where} holds {vector.dtype} of shape {vector.shape}; a direction is (channels,) numbers")
    return vector.astype(np.float32).ravel()


def cell_direction(
    atlas: Atlas, layer: str, cell: tuple[int, int], minus: tuple[int, int] | None = None, grid: int | None = None
) -> tuple[np.ndarray, str]:
    """(C,): a cell's mean less the layer's, or less another cell's; and what to call it.

    cell, minus: column and row; grid: its side, None takes the coarsest
    Raises LayerNotFound, UsageError where the atlas has no such grid or cell.
    """
    of = atlas.layer(layer)
    if not of.grid_sides:
        raise UsageError(f"{atlas.folder} has no grid of {layer} yet; run its build command again")
    cells = of.grid(of.grid_sides[0] if grid is None else grid)
    mean = cells.cell_at(*cell).mean
    if minus is None:
        return mean - of.mean, f"cell {cell[0]},{cell[1]}"
    return mean - cells.cell_at(*minus).mean, f"cell {cell[0]},{cell[1]} less {minus[0]},{minus[1]}"
