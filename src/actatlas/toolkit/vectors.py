"""Directions that come from elsewhere: a file, or cells of an atlas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from actatlas.atlas import Atlas
from actatlas.errors import UsageError


def read_vector(path: str | Path) -> np.ndarray:
    """(C,) float32 of a .npy, .npz or .safetensors file that holds one. Raises UsageError."""
    file = Path(path).expanduser()
    kind = file.suffix.lower()
    if kind not in (".npy", ".npz", ".safetensors"):
        raise UsageError(f"{path} is no file of a direction; give a .npy, .npz or .safetensors")
    try:
        if kind == ".safetensors":
            arrays = load_file(file)
        else:
            with file.open("rb") as stream:
                loaded = np.load(stream, allow_pickle=False)
                arrays = {"": loaded} if kind == ".npy" else {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; name a file that holds a direction") from None
    except (OSError, ValueError, EOFError, SafetensorError) as error:
        raise UsageError(f"{path} cannot be read as {kind[1:]}: {error}") from None
    if len(arrays) != 1:
        raise UsageError(f"{path} holds {len(arrays)} arrays ({', '.join(sorted(arrays))}); a direction is one alone")
    (vector,) = arrays.values()
    if vector.size != max(vector.shape, default=0) or not np.issubdtype(vector.dtype, np.number):
        raise UsageError(f"{path} holds {vector.dtype} of shape {vector.shape}; a direction is (channels,) numbers")
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
