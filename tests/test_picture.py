"""A grid as a picture: icons at their places, names that can be read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from actatlas.picture import density_shares, draw, place_labels, regions, side_by_side
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
