"""Which real patches a layer's cells show: one pool a layer, each place of a photo in it once, neighbours together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from actatlas.atlas import Layer
from actatlas.preprocessing import patch_box

MOST_A_CELL = 12
NEW_A_GRID = 14_400  # a dozen a cell up to 1,200 cells; the nearest alone from 14,400 on
# (patches at most, their side in pixels): multiples of 16, a JPEG's unit of colour, so that neighbours do not mix.
SIDES_PX = ((16_000, 64), (34_000, 48))
LEAST_PX = 32
MOST = 100_000  # what 15 MB hold of the smallest
_CURVE_CELLS = 1024


@dataclass(frozen=True)
class Pool:
    """The patches of a layer.

    rows: (P,) int64 rows of the layer's activations, one for each patch, in the order of the curve
    of_cells: by the grid's side, for each of its cells the indices of its patches, the member nearest the mean first
    size_px: side of each patch on the page
    """

    layer: Layer
    rows: np.ndarray
    of_cells: dict[int, list[list[int]]]
    size_px: int

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def sha256(self) -> str:
        """Of what was chosen: where it is the same, so are the pictures made of it."""
        chosen = (self.rows.tolist(), sorted(self.of_cells.items()), self.size_px)
        return hashlib.sha256(repr(chosen).encode()).hexdigest()


def choose_pool(layer: Layer, sides: Sequence[int]) -> Pool:
    """The pool of some grids of a layer, the coarsest first.

    Of its 12 members nearest the mean a cell shows the nearest of all, those that a coarser grid has brought, and, up
    to NEW_A_GRID ÷ (cells of its grid), new ones.
    """
    ids = _PlaceIds(layer)
    row_of: dict[int, int] = {}  # by place, in the order in which they came
    keys: list[tuple[int, int]] = []  # where the cell that brought it lies along the curve, and its turn
    places_of_cells: dict[int, list[list[int]]] = {}
    for side in sorted(sides):
        grid = layer.grid(side)
        new_at_most = min(max(NEW_A_GRID // max(len(grid), 1), 1), MOST_A_CELL)
        places_of_cells[side] = []
        for k, (column, row) in enumerate(grid.coordinates.tolist()):
            candidates = [(ids.of(r), r) for r in grid.nearest_rows(k, MOST_A_CELL).tolist()]
            shown = _shown([place for place, _ in candidates], row_of, new_at_most if len(row_of) < MOST else 0)
            along = _along_curve((column + 0.5) / side, (row + 0.5) / side)
            for place, member in candidates:
                if place in shown and place not in row_of:
                    row_of[place] = member
                    keys.append((along, len(keys)))
            places_of_cells[side].append([place for place, _ in candidates if place in shown])
    places = list(row_of)
    order = sorted(range(len(places)), key=keys.__getitem__)
    index_of = {places[turn]: index for index, turn in enumerate(order)}
    return Pool(
        layer,
        np.array([row_of[places[turn]] for turn in order], np.int64),
        {side: [[index_of[p] for p in cell] for cell in cells] for side, cells in places_of_cells.items()},
        next((px for most, px in SIDES_PX if len(places) <= most), LEAST_PX),
    )


def _shown(places: list[int], in_pool: dict[int, int], filled_to: int) -> set[int]:
    """Of a cell's places, the nearest first, those that are shown: what is there, and new ones until it has as many."""
    shown = {place for place in places if place in in_pool}
    if filled_to > 0:
        shown.update(places[:1])
    for place in places:
        if len(shown) >= filled_to:
            break
        shown.add(place)
    return shown


class _PlaceIds:
    """Numbers for what is seen: rows whose patch is the same part of the same photo share one."""

    def __init__(self, layer: Layer):
        self._places = layer.places
        self._layer = layer
        self._input_px = layer.atlas.preprocessing.input_px
        self._ids: dict[tuple[object, ...], int] = {}
        self._of_row: dict[int, int] = {}

    def of(self, row: int) -> int:
        if row not in self._of_row:
            position = tuple(self._places.positions[row].tolist())
            patch = patch_box(position, self._layer.patch_px, self._layer.info.shape[1:], self._input_px)
            seen = (int(self._places.image_ids[row]), tuple(self._places.boxes[row].tolist()), patch)
            self._of_row[row] = self._ids.setdefault(seen, len(self._ids))
        return self._of_row[row]


def _along_curve(x: float, y: float) -> int:
    """How far along Hilbert's curve a point of the unit square lies: what is near on the curve is near on the map."""
    column, row = int(x * _CURVE_CELLS), int(y * _CURVE_CELLS)
    distance, size = 0, _CURVE_CELLS // 2
    while size:
        right, lower = int(column & size > 0), int(row & size > 0)
        distance += size * size * ((3 * right) ^ lower)
        if lower == 0:
            if right:
                column, row = _CURVE_CELLS - 1 - column, _CURVE_CELLS - 1 - row
            column, row = row, column
        size //= 2
    return distance
