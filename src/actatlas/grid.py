"""Layout × vectors → cells: what the members of each square of the map have in common. Streams over shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np

from actatlas.errors import UsageError
from actatlas.values import ActivationSet, Cells, Layout

MIN_SIDE, MAX_SIDE = 2, 320
_DEFAULT_SIDES = (20, 40, 80, 160)
# Activations for each cell of a default grid, kept or not. About two thirds of the squares hold any.
_MEMBERS_WANTED = 8
_PIECE_ROWS = 16_384

ReadShards = Callable[[], Iterator[ActivationSet]]


@dataclass(frozen=True)
class GridSettings:
    """How a map is divided.

    side: cells along an edge, 2 to 320
    min_images: a cell with members from fewer distinct photos is dropped
    example_count: members that stand for a cell, one a photo
    """

    side: int
    min_images: int = 3
    example_count: int = 12

    def __post_init__(self) -> None:
        if not MIN_SIDE <= self.side <= MAX_SIDE:
            raise UsageError(f"a grid has a side from {MIN_SIDE} to {MAX_SIDE}, not {self.side}", side=self.side)
        if self.min_images < 1 or self.example_count < 1:
            raise UsageError(
                f"min_images and example_count are at least 1, not {self.min_images} and {self.example_count}"
            )


def default_sides(activation_count: int) -> list[int]:
    """Of 20, 40, 80 and 160 those with 8 activations a square or more; if none, the largest side that has."""
    fitting = [side for side in _DEFAULT_SIDES if _MEMBERS_WANTED * side**2 <= activation_count]
    return fitting or [max(MIN_SIDE, isqrt(activation_count // _MEMBERS_WANTED))]


def make_cells(layout: Layout, read_shards: ReadShards, layer_mean: np.ndarray, settings: GridSettings) -> Cells:
    """The kept cells of one grid.

    read_shards: a fresh iterator over the layer's activations in row order, for each of three passes
    layer_mean: (C,) mean over all activations of the layer

    Memory is that of the cells and of one shard as it is stored, however many activations there are. Means are taken of
    the stored float16 vectors, added up in float64.
    """
    square = squares(layout.points, settings.side)  # (N,), −1 where cut off
    image_ids = np.concatenate([shard.image_ids for shard in read_shards()])
    if len(image_ids) != len(layout):
        raise ValueError(f"a layout of {len(layout)} points for {len(image_ids)} activations")

    kept, image_counts = squares_with_photos(square, image_ids, settings.min_images)
    cell = cells_at(kept, square)  # (N,) index of the cell, −1 where there is none
    member_rows = np.argsort(cell, kind="stable")[int((cell < 0).sum()) :]  # (M,) by cell, ascending within
    counts = np.bincount(cell[member_rows], minlength=len(kept))
    member_offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    means, attributions = _means(read_shards, cell, counts)
    cosines = _cosines(read_shards, cell, means, layer_mean)
    cohesion = np.bincount(cell[member_rows], weights=cosines[member_rows], minlength=len(kept))
    return Cells(
        side=settings.side,
        coordinates=np.stack([kept % settings.side, kept // settings.side], axis=1).astype(np.int32),
        counts=counts.astype(np.int64),
        image_counts=image_counts,
        means=means,
        cohesion=(cohesion / np.maximum(counts, 1)).astype(np.float32),
        member_offsets=member_offsets,
        member_rows=member_rows.astype(np.int64),
        example_rows=_examples(cell, member_rows, cosines, image_ids, (len(kept), settings.example_count)),
        attributions=attributions,
        dropped_count=int(((square >= 0) & (cell < 0)).sum()),
        cut_count=int((square < 0).sum()),
    )


def squares(points: np.ndarray, side: int) -> np.ndarray:
    """(N,) row · side + column of each point's square, −1 for NaN; column = min(floor(x·side), side − 1)."""
    is_placed = ~np.isnan(points).any(axis=1)
    place = np.minimum(np.floor(points[is_placed] * side).astype(np.int64), side - 1)
    square = np.full(len(points), -1, np.int64)
    square[is_placed] = place[:, 1] * side + place[:, 0]
    return square


def squares_with_photos(square: np.ndarray, image_ids: np.ndarray, min_images: int) -> tuple[np.ndarray, np.ndarray]:
    """(K,) squares with enough distinct photos, row-major, and (K,) how many they have."""
    placed = square >= 0
    pairs = np.unique(np.stack([square[placed], image_ids[placed]], axis=1), axis=0)
    found, photos = np.unique(pairs[:, 0], return_counts=True)
    enough = photos >= min_images
    return found[enough], photos[enough].astype(np.int64)


def cells_at(kept: np.ndarray, square: np.ndarray) -> np.ndarray:
    """(N,) of each square (N,), −1 among them, its index in the ascending `kept` (K,), or −1."""
    if not len(kept):
        return np.full(len(square), -1, np.int64)
    place = np.minimum(np.searchsorted(kept, square), len(kept) - 1)
    return np.where(kept[place] == square, place, -1)


def _means(read_shards: ReadShards, cell: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(K, C) float32 means of the vectors, and (K, classes) of the attributions if there are any."""
    vectors = attributions = None
    for shard, part, cells in _pieces(read_shards, cell):
        vectors = _added(vectors, shard.vectors[part], cells, len(counts))
        if shard.attributions is not None:
            attributions = _added(attributions, shard.attributions[part], cells, len(counts))
    of = np.maximum(counts, 1)[:, None]
    return (vectors / of).astype(np.float32), None if attributions is None else (attributions / of).astype(np.float32)


def _added(sums: np.ndarray | None, values: np.ndarray, cells: np.ndarray, cell_count: int) -> np.ndarray:
    """`sums` (K, V) float64, begun where None, plus `values` (n, V), each row in its cell (n,)."""
    if sums is None:
        sums = np.zeros((cell_count, values.shape[1]), np.float64)
    order = np.argsort(cells, kind="stable")[int((cells < 0).sum()) :]
    if len(order):
        present, starts = np.unique(cells[order], return_index=True)
        sums[present] += np.add.reduceat(values[order].astype(np.float64), starts, axis=0)
    return sums


def _cosines(read_shards: ReadShards, cell: np.ndarray, means: np.ndarray, layer_mean: np.ndarray) -> np.ndarray:
    """(N,) each member's cosine to its cell's mean, both less the layer's mean; 0 where one of them is that mean."""
    centre = layer_mean.astype(np.float64)
    cosines, start = np.zeros(len(cell)), 0
    for shard, part, cells in _pieces(read_shards, cell):
        rows = np.flatnonzero(cells >= 0)
        member = shard.vectors[part][rows].astype(np.float64) - centre
        mean = means[cells[rows]] - centre
        norms = np.linalg.norm(member, axis=1) * np.linalg.norm(mean, axis=1)
        cosines[start + rows] = np.einsum("nc,nc->n", member, mean) / np.where(norms > 0, norms, np.inf)
        start += len(cells)
    return cosines


def _pieces(read_shards: ReadShards, cell: np.ndarray) -> Iterator[tuple[ActivationSet, slice, np.ndarray]]:
    """Each shard, some of its rows, and their cells: as numbers of 64 bits a shard of many crops takes gigabytes."""
    start = 0
    for shard in read_shards():
        for first in range(0, len(shard), _PIECE_ROWS):
            part = slice(first, min(first + _PIECE_ROWS, len(shard)))
            yield shard, part, cell[start + part.start : start + part.stop]
        start += len(shard)


def _examples(
    cell: np.ndarray, member_rows: np.ndarray, cosines: np.ndarray, image_ids: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """(K, E) rows, nearest the mean first, the nearest of each photo only; −1 where there are no more."""
    order = member_rows[np.lexsort([member_rows, -cosines[member_rows], cell[member_rows]])]
    _, first = np.unique(np.stack([cell[order], image_ids[order]], axis=1), axis=0, return_index=True)
    order = order[np.sort(first)]
    cells = cell[order]
    rank = np.arange(len(order)) - np.searchsorted(cells, cells, side="left")
    examples = np.full(shape, -1, np.int64)
    near = rank < shape[1]
    examples[cells[near], rank[near]] = order[near]
    return examples
