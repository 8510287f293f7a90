"""All that is random in collecting: a function of (seed, stage, item) alone, so shards and batches change nothing.

photo order   ids sorted by a hash of (seed, id); where photos are read in blocks, a few blocks at a time
crop          side = √U(0.35², 1) of the largest crop with the input's aspect, place uniform: areas are uniform
position      a cell of the coarsest map without its border, then a uniform place inside the cell
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from actatlas.values import Blocks, ImageSource

Box = tuple[float, float, float, float]

MIN_CROP_SIDE = 0.35
# How near a place may come to the edge between two cells of any map: far more than float32 rounds, so that
# floor(position · size) is the same in float32 and float64, wherever it is computed.
_EDGE_MARGIN = 1e-4


def photo_order(image_count: int, seed: int, blocks: Blocks | None = None) -> np.ndarray:
    """(N,) int64: the ids 0 … N − 1 in the order in which they are collected.

    blocks: of sources that read photos together: `at_once` blocks, themselves in random order, are gone through before
    the next ones, their photos mixed. The order follows from the listing, the seed and the blocks alone.
    """
    keys = _hashes("order", image_count, seed)
    if blocks is None:
        return np.lexsort(keys).astype(np.int64)
    count = len(blocks.starts)
    turns = np.empty(count, np.int64)
    turns[np.arange(count) if blocks.is_stream else np.lexsort(_hashes("block", count, seed))] = np.arange(count)
    group = turns // blocks.at_once
    lengths = np.diff(np.append(blocks.starts, image_count))
    return np.lexsort((*keys, np.repeat(group, lengths))).astype(np.int64)


def order_of(source: ImageSource, seed: int) -> np.ndarray:
    """`photo_order` of a source's photos; those of joined sources are mixed, each source's in its own order."""
    parts = getattr(source, "parts", None)
    if parts is not None:
        shares = []
        for part in parts:
            order = order_of(part.source, seed)
            ranks = np.argsort(np.argsort(np.argsort(order)[part.ids]))  # among those that are counted
            shares.append((ranks + 0.5) / len(ranks))
        return np.argsort(np.concatenate(shares), kind="stable")
    return photo_order(len(source.records), seed, getattr(source, "blocks", None))


def lots_of(source: ImageSource, seed: int, starts: Sequence[int] = (0,)) -> list[np.ndarray]:
    """The same, of photos that came lot by lot, so that what was collected stays in its place.

    starts: the first id of each lot, ascending from 0
    """
    order = order_of(source, seed)
    lots = np.searchsorted(np.asarray(starts), order, side="right")
    return [order[lots == lot] for lot in range(1, len(starts) + 1)]


def _hashes(stage: str, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """A hash of each number, as columns for lexsort: the last counts most."""
    digests = b"".join(hashlib.sha256(f"{seed} {stage} {i}".encode()).digest() for i in range(count))
    return tuple(np.frombuffer(digests, ">u8").reshape(count, 4).T[::-1])


def crop_box(photo_size: tuple[int, int], input_px: tuple[int, int], seed: int, image_id: int, crop: int) -> Box:
    """A random part of a photo with the input's aspect: left, top, right, bottom as fractions, exact in float32.

    photo_size: (width, height); input_px: (height, width)
    """
    size, left, top = _uniform(seed, "crop", image_id, crop, count=3)
    side = np.sqrt(MIN_CROP_SIDE**2 + (1 - MIN_CROP_SIDE**2) * size)
    aspect = (input_px[1] / input_px[0]) / (photo_size[0] / photo_size[1])
    width, height = side * min(aspect, 1.0), side * min(1 / aspect, 1.0)
    corners = (left * (1 - width), top * (1 - height), left * (1 - width) + width, top * (1 - height) + height)
    x0, y0, x1, y1 = (float(np.float32(min(corner, 1.0))) for corner in corners)
    return x0, y0, x1, y1


def inner_positions(
    map_sizes: Sequence[tuple[int, int]], count: int, seed: int, image_id: int, crop: int
) -> np.ndarray:
    """(count, 2) float32: rows and columns as fractions, for all layers alike.

    In every map floor(position · size) leaves out the first and last row and column, where the map has at least three.
    Places lie in different cells of the coarsest map as long as it has enough.

    map_sizes: (H, W) of each layer; vector layers, 1 × 1, have no say
    """
    spatial = [size for size in map_sizes if size != (1, 1)] or [(1, 1)]
    axes = [sorted({size[axis] for size in spatial}) for axis in (0, 1)]
    rows, columns = (_inner_cells(sizes) for sizes in axes)
    cells = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    positions = np.empty((count, 2), np.float32)
    for start in range(0, count, len(cells)):
        turn = start // len(cells)
        order = np.argsort(_uniform(seed, "cell", image_id, crop, turn, count=len(cells)), kind="stable")
        for k, (row, column) in enumerate(cells[order][: count - start], start=start):
            for axis, cell in enumerate((row, column)):
                key = (image_id, crop, k, axis)
                positions[k, axis] = _place_in_cell(int(cell), axes[axis], seed, key)
    return positions


def map_index(positions: np.ndarray, map_size: tuple[int, int]) -> np.ndarray:
    """(N, 2) int64: floor(position · size), the row and column in one layer's map."""
    sizes = np.asarray(map_size)
    return np.minimum(np.floor(positions.astype(np.float64) * sizes).astype(np.int64), sizes - 1)


def _coarsest(sizes: Sequence[int]) -> int:
    """The smallest extent that has an inside; a finer map's inside then holds the coarsest's."""
    return min((size for size in sizes if size >= 3), default=min(sizes))


def _inner_cells(sizes: Sequence[int]) -> np.ndarray:
    extent = _coarsest(sizes)
    return np.arange(1, extent - 1) if extent >= 3 else np.arange(extent)


def _place_in_cell(cell: int, sizes: Sequence[int], seed: int, key: tuple[int, ...]) -> np.float32:
    """A uniform fraction inside a cell of the coarsest extent, off the edges of all extents' cells."""
    extent = _coarsest(sizes)
    for share in _uniform(seed, "place", *key, count=64):
        place = np.float32((cell + share) / extent)
        within = [float(place) * size % 1.0 for size in sizes]
        if int(float(place) * extent) == cell and all(_EDGE_MARGIN < w < 1 - _EDGE_MARGIN for w in within):
            return place
    return np.float32((cell + 0.5) / extent)


def _uniform(seed: int, stage: str, *item: int, count: int) -> np.ndarray:
    """(count,) float64 in [0, 1)."""
    digest = hashlib.sha256(" ".join(map(str, (seed, stage, *item))).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little"))).random(count)
