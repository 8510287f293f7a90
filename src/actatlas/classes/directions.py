"""Directions of a layer that are no channel: between cells, or named by somebody and kept in the atlas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from actatlas.atlas import Atlas, Layer
from actatlas.classes.following import grid_of
from actatlas.errors import UnfinishedAtlas, UsageError
from actatlas.store import AtlasFolder, paths, writing

_LONGEST = 60  # of a name, in characters: it stands in a list and in the page's address


def cell_direction(
    atlas: Atlas, layer: str, cell: tuple[int, int], minus: tuple[int, int] | None = None, grid: int | None = None
) -> tuple[np.ndarray, str]:
    """(C,): a cell's mean less the layer's, or less another cell's; and what to call it.

    cell, minus: column and row; grid: its side, None takes the coarsest
    Raises LayerNotFound, UsageError where the atlas has no such grid or cell.
    """
    cells = grid_of(atlas, layer, grid)
    mean = cells.cell_at(*cell).mean
    if minus is None:
        return mean - cells.layer.mean, f"cell {cell[0]},{cell[1]}"
    return mean - cells.cell_at(*minus).mean, f"cell {cell[0]},{cell[1]} less {minus[0]},{minus[1]}"


def keep_direction(layer: Layer, name: str, direction: np.ndarray) -> Layer:
    """The layer of the atlas as it is then. Raises UsageError for what is no direction or no name, UnfinishedAtlas
    for one that is not, or that carries no means of its cells, Locked.
    """
    if not any(layer.grid(side).has_means for side in layer.grid_sides):
        raise UnfinishedAtlas(f"{layer.atlas.folder} carries no means of its cells; an atlas that you build does")
    count = layer.info.shape[0]
    vector = np.asarray(direction, np.float32)
    if vector.shape != (count,):
        raise UsageError(f"a direction of {layer.name} is ({count},) numbers, one a channel, not {vector.shape}")
    if not np.isfinite(vector).all() or not vector.any():
        raise UsageError(f'the direction "{name}" is all zero, or holds NaN or infinity; give numbers')
    if not name.isprintable() or name.strip(" _") != name or not 1 <= len(name) <= _LONGEST:
        raise UsageError(f"a direction is called by 1 to {_LONGEST} characters on one line, not {name!r}")
    with _changing(layer.atlas) as atlas, atlas.files.reopened():
        kept = atlas.layer(layer.name).kept_directions | {name: vector}
        atlas.files.write_arrays(paths.directions(layer.name), kept)
    return atlas.layer(layer.name)


def forget_direction(atlas: Atlas, name: str, layer: str | None = None) -> None:
    """Raises UsageError where none is called that, UnfinishedAtlas, Locked."""
    names = atlas.layer_names if layer is None else [layer]
    with _changing(atlas) as now:
        kept = {one: now.layer(one).kept_directions for one in names}
        if not any(name in found for found in kept.values()):
            there = ", ".join(sorted({other for found in kept.values() for other in found})) or "none"
            raise UsageError(f'{atlas.folder} has no direction "{name}"; it has: {there}')
        with now.files.reopened():
            for one, found in kept.items():
                if found.pop(name, None) is None:
                    continue
                if found:
                    now.files.write_arrays(paths.directions(one), found)
                else:
                    now.files.forget(paths.directions(one))


@contextmanager
def _changing(atlas: Atlas) -> Iterator[Atlas]:
    """As it is now, and nobody else writes."""
    if not atlas.is_finished:
        raise UnfinishedAtlas(f"{atlas.folder} is not finished; run its build command again, which continues")
    with writing(atlas.folder):
        yield type(atlas)(AtlasFolder.existing(atlas.folder))
