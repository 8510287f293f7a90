"""A grid as a picture: icons at their places, names that can be read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from actatlas.errors import UsageError
from actatlas.picture import density_shares, draw, place_labels, side_by_side, under_a_line
from actatlas.regions import regions
from actatlas.testing import cell_code, code_of, fake_atlas, kept_cells


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("picture") / "atlas"
    return fake_atlas(folder, layers=1, sides=(20,), photos=0, icon_px=40).layer("layer.0").grid(20)


def test_every_icon_is_at_its_place_and_nothing_elsewhere(grid):
    pixels = np.asarray(draw(grid, background=(1, 2, 3)))
    assert pixels.shape == (800, 800, 3)
    kept = {tuple(place) for place in kept_cells(0, 20).tolist()}
    assert 0 < len(kept) < 400
    for column, row in itertools.product(range(20), range(20)):
        square = pixels[row * 40 : row * 40 + 40, column * 40 : column * 40 + 40]
        assert (square == square[0, 0]).all()
        if (column, row) in kept:
            assert code_of(square[0, 0].tolist()) == cell_code(0, 20, column, row)
        else:
            assert square[0, 0].tolist() == [1, 2, 3]


def test_icons_can_be_drawn_smaller(grid):
    pixels = np.asarray(draw(grid, icon_px=10))
    assert pixels.shape == (200, 200, 3)
    assert code_of(pixels[105, 75].tolist()) == cell_code(0, 20, 7, 10)


def test_by_density_a_fuller_cell_has_a_larger_icon(grid):
    pixels = np.asarray(draw(grid, by_density=True)).astype(int)
    order = np.argsort(grid.counts)
    covered = []
    for k in (order[0], order[len(order) // 2], order[-1]):
        column, row = grid.coordinates[k].tolist()
        square = pixels[row * 40 : row * 40 + 40, column * 40 : column * 40 + 40]
        covered.append(int((np.abs(square - 255).max(axis=-1) > 20).sum()))
    assert 0 < covered[0] < covered[1] < covered[2] == 1600


def test_an_icons_area_goes_with_the_count():
    shares = density_shares(np.array([25, 100] + [400] * 20))
    np.testing.assert_allclose(shares[:3], [0.3, 0.5, 1.0])  # √(25 / 400) = 0.25 is below the least


def test_a_region_is_cells_that_touch_and_speak_for_one_class():
    coordinates = np.array([[0, 0], [1, 0], [3, 0], [0, 1], [2, 1], [3, 1]])
    found = regions(coordinates, np.array([7, 7, 7, 5, 5, 7]))
    assert sorted(sorted(r.tolist()) for r in found) == [[0, 1], [2, 5], [3], [4]]
    assert [len(r) for r in found] == [2, 2, 1, 1]


def test_labels_never_overlap_nor_leave_the_picture():
    rng = np.random.default_rng(3)
    wanted = [(*rng.uniform(0, 500, 2), int(rng.integers(20, 160)), 16) for _ in range(300)]
    placed = place_labels(wanted, 500, gap=3)
    assert 20 < len(placed) < 300 and placed[0][0] == 0
    for _, (left, top, right, bottom) in placed:
        assert left >= 0 and top >= 0 and right <= 500 and bottom <= 500
    for (_, a), (_, b) in itertools.combinations(placed, 2):
        assert a[2] + 3 <= b[0] or b[2] + 3 <= a[0] or a[3] + 3 <= b[1] or b[3] + 3 <= a[1]


def test_labels_are_written_on_the_picture_and_most_of_it_stays(grid):
    without = np.asarray(draw(grid, icon_px=80, background="black"))
    labelled = np.asarray(draw(grid, icon_px=80, background="black", with_labels=True))
    changed = (without != labelled).any(axis=-1).mean()
    assert 0.02 < changed < 0.2
    letters = (labelled >= 250).all(axis=-1) & (without < 240).any(axis=-1)
    assert 0.02 < letters.sum() / (without != labelled).any(axis=-1).sum() < 0.5


def test_a_label_too_long_for_the_picture_is_left_out():
    assert place_labels([(50, 50, 140, 10), (50, 50, 40, 10)], 100, gap=2) == [(1, (30, 45, 70, 55))]


def test_pictures_stand_side_by_side_in_rows():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    sheet = side_by_side([Image.new("RGB", (40, 20), colour) for colour in colours], px=32, columns=2)
    assert sheet.size == (66, 66)
    middles = [sheet.getpixel(place) for place in ((16, 16), (50, 16), (16, 50), (50, 50))]
    assert middles == [*colours, (255, 255, 255)]


def test_a_grid_and_a_layer_give_the_picture_that_draw_gives(grid):
    assert np.array_equal(grid.picture(10), draw(grid, icon_px=10))
    assert np.array_equal(grid.layer.picture(icon_px=10, by_density=True), draw(grid, icon_px=10, by_density=True))
    assert np.array_equal(grid.layer.picture(20, with_labels=True), draw(grid, with_labels=True))
    with pytest.raises(UsageError, match="no 3 × 3 grid"):
        grid.layer.picture(3)


def test_a_line_above_a_picture_leaves_it_as_it_is_and_never_runs_into_its_other_end():
    plan = Image.new("RGB", (300, 80), "red")
    page = np.asarray(under_a_line(plan, "a title that is longer by far than the picture is wide", "right"))
    (top, left), (bottom, right) = (np.argwhere((page == (255, 0, 0)).all(axis=2))[i] for i in (0, -1))
    assert (bottom - top + 1, right - left + 1) == (80, 300)
    alone = np.asarray(under_a_line(plan, "", "right"))
    from_right = np.argwhere((alone[:top] < 128).all(axis=2))[:, 1].min()
    assert np.array_equal(page[:top, from_right - 8 :], alone[:top, from_right - 8 :])
    assert (page[:top, :from_right] < 128).any(), "some of the title is there"


def test_all_layers_of_an_atlas_stand_in_one_picture(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=3, sides=(4, 8), icon_px=16)
    whole = np.asarray(atlas.picture(px=80, columns=2))
    one = under_a_line(atlas.layer("layer.1").picture(4, 20), "layer.1")
    assert whole.shape == (2 * one.height, 2 * one.width, 3)
    assert np.array_equal(whole[: one.height, one.width :], one)
    assert np.asarray(atlas.picture(8, px=80, columns=1)).shape == (3 * one.height, one.width, 3)
    with pytest.raises(UsageError, match="no 5 × 5 grid"):
        atlas.picture(5)


def test_a_cell_is_a_row_of_its_icon_and_its_patches(tmp_path):
    cell = fake_atlas(tmp_path / "atlas", layers=1, sides=(4,), photos=9, icon_px=16).layer("layer.0").grid(4).cell(3)
    patches = cell.examples(2)
    assert len(patches) == 2
    assert np.array_equal(cell.picture(2, px=32), side_by_side([cell.icon.image, *patches], px=32))
    bare = fake_atlas(tmp_path / "bare", layers=1, sides=(4,), photos=0, icon_px=16).layer("layer.0").grid(4).cell(3)
    assert bare.picture(px=32).size == (32, 32)
