"""A number for every cell, by class, by channel or by likeness to another cell: a file holds some columns of (K, N).

A character is a cell: the page unpacks a file of some ten thousand of them when a class is first asked for, so that all
classes of a large grid can be looked at and none is loaded before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from actatlas.store.levels import MOST, to_levels

# Character i says level i − 31. None of these ends a string or a script.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
_CHARACTERS = np.frombuffer(ALPHABET.encode("ascii"), np.uint8)
_CHARACTERS_A_FILE = 48_000


class Block(NamedTuple):
    """index: of the file; value: what it hands to the page."""

    index: int
    value: dict[str, Any]


def columns_a_block(cell_count: int) -> int:
    return max(_CHARACTERS_A_FILE // max(cell_count, 1), 1)


def blocks(values: np.ndarray) -> Iterator[Block]:
    """(K, N) → files of `columns_a_block(K)` columns each: the largest size in a column, and a character for each cell."""
    per_block = columns_a_block(len(values))
    for index, start in enumerate(range(0, values.shape[1], per_block)):
        levels, peaks = to_levels(values[:, start : start + per_block])
        characters = np.ascontiguousarray(_CHARACTERS[levels.astype(np.int16) + MOST].T)
        yield Block(
            index,
            {
                "peaks": [float(f"{peak:.3g}") for peak in peaks.tolist()],
                "levels": [row.tobytes().decode("ascii") for row in characters],
            },
        )
