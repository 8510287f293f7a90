"""A number for every cell, by class, channel, direction or likeness to another cell: a file holds columns of (K, N).

A character is a cell: the page unpacks a file of some ten thousand of them when a class is first asked for, so that all
classes of a large grid can be looked at and none is loaded before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from actatlas.atlas import Grid
from actatlas.store.levels import MOST, to_levels

# Character i says level i − 31. None of these ends a string or a script.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
_CHARACTERS = np.frombuffer(ALPHABET.encode("ascii"), np.uint8)
_CHARACTERS_A_FILE = 48_000
# Beyond this side channels and likeness would outweigh the icons: the page takes them from a coarser grid.
_FINEST_SIDE_WITH_COLUMNS = 40


class Block(NamedTuple):
    """number: of the file; value: what it hands to the page."""

    number: int
    value: dict[str, Any]


def number_counts(grid: Grid) -> dict[str, int]:
    """What the map can be dimmed by, and how many columns of numbers that is."""
    counts = {"classes": 0 if grid.attributions_over_mean is None else grid.attributions_over_mean.shape[1]}
    counts["directions"] = len(grid.layer.kept_directions) if grid.has_means else 0
    if grid.side <= _FINEST_SIDE_WITH_COLUMNS and grid.has_means:
        counts |= {"channels": grid.means.shape[1], "likeness": len(grid)}
    return {kind: count for kind, count in counts.items() if count and len(grid)}


def numbers(grid: Grid, kind: str) -> np.ndarray:
    """(K, N) of a kind that `number_counts` names.

    classes: each cell's attribution to each class, over the layer's average; channels: how far each channel of the
    cell's mean is above the layer's, in deviations; likeness: the cosine of two cells' means, both less the layer's;
    directions: the same of a cell's and each direction that was named, by name
    """
    if kind == "classes":
        assert grid.attributions_over_mean is not None  # number_counts has seen to it
        return grid.attributions_over_mean
    if kind == "directions":
        return np.stack([grid.along(direction) for direction in grid.layer.kept_directions.values()], axis=1)
    return grid.channel_scores if kind == "channels" else grid.directions @ grid.directions.T


def columns_a_block(cell_count: int) -> int:
    return max(_CHARACTERS_A_FILE // max(cell_count, 1), 1)


def block_count(column_count: int, cell_count: int) -> int:
    return -(-column_count // columns_a_block(cell_count))


def blocks(values: np.ndarray) -> Iterator[Block]:
    """(K, N) → files of `columns_a_block(K)` columns each: of each its largest size, and a character for each cell."""
    per_block = columns_a_block(len(values))
    for number, start in enumerate(range(0, values.shape[1], per_block)):
        levels, peaks = to_levels(values[:, start : start + per_block])
        characters = np.ascontiguousarray(_CHARACTERS[levels.astype(np.int16) + MOST].T)
        yield Block(
            number,
            {
                "peaks": [float(f"{peak:.3g}") for peak in peaks.tolist()],
                "levels": [row.tobytes().decode("ascii") for row in characters],
            },
        )
