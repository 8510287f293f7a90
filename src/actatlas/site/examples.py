"""Sheets of real patches: one picture for each 4 × 4 cells, fetched when one of them is first pointed at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from actatlas.atlas import Grid

CELLS_PER_BLOCK = 4
PATCH_PX = 64


class Block(NamedTuple):
    """Cells [4·column, 4·column + 4) × [4·row, 4·row + 4) of a grid."""

    column: int
    row: int

    @classmethod
    def of(cls, coordinate: np.ndarray) -> Block:
        return cls(int(coordinate[0]) // CELLS_PER_BLOCK, int(coordinate[1]) // CELLS_PER_BLOCK)


def patch_count(side: int) -> int:
    """Patches a cell: fewer where there are many cells, so that a site stays small."""
    return 6 if side <= 80 else 4


def sheet_name(block: Block) -> str:
    return f"{block.column}_{block.row}.jpg"


def sheet_names(grid: Grid) -> set[str]:
    return {sheet_name(Block.of(coordinate)) for coordinate in grid.coordinates}


def sheets(grid: Grid) -> Iterator[tuple[Block, Image.Image]]:
    """(block, RGB sheet): a row of `patch_count` patches of 64 px for each of the block's 16 cells, row-major.

    Nothing where the atlas carries no photos. Raises UnreadableImage or NoImages where they are gone.
    """
    count = patch_count(grid.side)
    sheet_of: dict[Block, Image.Image] = {}
    for k, patches in grid.all_examples(count, PATCH_PX):
        column, row = (int(v) for v in grid.coordinates[k])
        block = Block.of(grid.coordinates[k])
        if block not in sheet_of:
            size = (count * PATCH_PX, CELLS_PER_BLOCK**2 * PATCH_PX)
            sheet_of[block] = Image.new("RGB", size, (128, 128, 128))
        slot = (row % CELLS_PER_BLOCK) * CELLS_PER_BLOCK + column % CELLS_PER_BLOCK
        for i, patch in enumerate(patches):
            square = patch if patch.size == (PATCH_PX, PATCH_PX) else patch.resize((PATCH_PX, PATCH_PX))
            sheet_of[block].paste(square, (i * PATCH_PX, slot * PATCH_PX))
    yield from sorted(sheet_of.items())
