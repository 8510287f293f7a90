"""What a notebook shows of an atlas's parts says what they are; a cell that is not there is refused."""

import pytest

from actatlas.atlas import Atlas
from actatlas.errors import UsageError
from actatlas.testing import fake_atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory) -> Atlas:
    return fake_atlas(tmp_path_factory.mktemp("reprs") / "atlas", layers=2, sides=(5,), icon_px=16)


def test_each_part_says_what_it_is_and_what_can_be_asked_next(atlas):
    grid = atlas.layer("layer.1").grid(5)
    cell = grid.cell(3)
    assert "layer.0, layer.1" in repr(atlas) and str(atlas.folder) in repr(atlas)
    assert repr(grid.layer) == "<Layer 'layer.1': grids 5>"
    assert repr(grid) == f"<Grid 5 × 5 of 'layer.1': {len(grid)} cells>"
    assert repr(cell).startswith(f"<Cell {cell.column},{cell.row} of 5 × 5 of 'layer.1': {cell.count} activations")


@pytest.mark.parametrize("k", [-1, 99])
def test_a_cell_that_is_not_there_has_no_members_and_no_examples(atlas, k):
    grid = atlas.layer("layer.1").grid(5)
    for ask in (grid.cell, grid.members, grid.examples):
        with pytest.raises(UsageError, match=f"not {k}"):
            ask(k)
