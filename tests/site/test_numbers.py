"""A number for every cell, as text."""

from __future__ import annotations

import numpy as np

from actatlas.site.numbers import ALPHABET, blocks, columns_a_block, number_counts, numbers
from actatlas.store.levels import MOST, deflated, from_levels, inflated, to_levels
from actatlas.testing import CHANNELS, FAKE_LABELS, fake_atlas


def test_levels_meet_a_value_of_a_tenth_of_the_peak_or_more_within_a_tenth():
    values = np.linspace(-3, 3, 4001, dtype=np.float32)[:, None] * np.array([1, 1e-4, 0], np.float32)
    levels, peaks = to_levels(values)
    back = from_levels(levels, peaks)
    np.testing.assert_allclose(peaks, [3, 3e-4, 0], rtol=1e-6)
    large = np.abs(values) >= 0.1 * peaks
    assert np.all(np.abs(back - values)[large] <= 0.1 * np.abs(values)[large])
    assert np.array_equal(np.sign(back[large]), np.sign(values[large]))
    assert levels.min() == -MOST and levels.max() == MOST
    assert np.array_equal(inflated(deflated(levels), 3), levels)


def test_levels_of_what_is_not_finite_are_0():
    levels, peaks = to_levels(np.array([[np.nan], [np.inf], [-2.0]]))
    assert levels[:, 0].tolist() == [0, 0, -MOST] and peaks.tolist() == [2]


def test_blocks_hold_every_column_once_and_decode_to_what_went_in():
    values = np.random.default_rng(0).normal(size=(9000, 13)).astype(np.float32)
    assert columns_a_block(9000) == 5
    found = list(blocks(values))
    assert [block.number for block in found] == [0, 1, 2]
    columns = [
        peak * np.sign(share) * share**2
        for block in found
        for peak, text in zip(block.value["peaks"], block.value["levels"], strict=True)
        for share in [(np.array([ALPHABET.index(c) for c in text]) - MOST) / MOST]
    ]
    decoded = np.stack(columns, axis=1)
    assert decoded.shape == values.shape
    assert np.abs(decoded - values).max() < 0.04 * np.abs(values).max()


def test_a_grid_has_numbers_of_classes_channels_and_likeness(tmp_path):
    grid = fake_atlas(tmp_path / "atlas", layers=1, sides=(6,)).layer("layer.0").grid(6)
    assert number_counts(grid) == {"classes": len(FAKE_LABELS), "channels": CHANNELS, "likeness": len(grid)}
    np.testing.assert_allclose(numbers(grid, "classes"), grid.attributions, atol=1e-6)
    likeness = numbers(grid, "likeness")
    np.testing.assert_allclose(np.diag(likeness), 1, atol=1e-5)
    near, cosines = grid.nearest_cells(3)
    assert near.shape == (len(grid), 3) and not np.any(near == np.arange(len(grid))[:, None])
    np.testing.assert_allclose(cosines[:, 0], np.sort(likeness - 9 * np.eye(len(grid)), axis=1)[:, -1], atol=1e-5)
    centred = grid.means - grid.layer.mean
    np.testing.assert_allclose(numbers(grid, "channels"), centred / grid.means.std(axis=0), rtol=1e-5)
    assert grid.strongest_channels(1)[0][:, 0].tolist() == numbers(grid, "channels").argmax(axis=1).tolist()
