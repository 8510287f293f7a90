"""Some members of each cell stand for all: few enough, without bias, and with an error that is one."""

import numpy as np
import pytest

from actatlas.sample import (
    CellSample,
    average_all,
    average_cells,
    choose_for_average,
    choose_members,
    row_keys,
)

N, CLASSES, MOST = 4000, 3, 5


@pytest.fixture(scope="module")
def world():
    """Activations of 12 cells, 4 × 3, their photos, and attributions. Photos give a cell very different numbers of
    members, and those that give many speak for class 0."""
    random = np.random.default_rng(0)
    image_ids = np.sort(np.minimum(random.geometric(0.02, N), 200))
    cell = random.integers(0, 12, N)
    cell[random.random(N) < 0.1] = -1
    cell[(cell == 7) & (np.arange(N) % 40 > 0)] = -1  # a cell of few
    often = np.bincount(image_ids)[image_ids]
    attributions = random.normal(size=(N, CLASSES)) + image_ids[:, None] % 5
    attributions[:, 0] += often / often.mean()
    return image_ids, cell, attributions.astype(np.float16)


def members_of(cell, count):
    rows = np.argsort(cell, kind="stable")[(cell < 0).sum() :]
    return np.concatenate([[0], np.cumsum(np.bincount(cell[rows], minlength=count))]), rows


def chosen(world, seed, most=MOST, cells=None, count=12):
    image_ids, cell, _ = world
    return choose_members(*members_of(cell if cells is None else cells, count), image_ids, row_keys(seed, N), most)


def reading(attributions, rows=None, parts=3):
    rows = np.arange(len(attributions)) if rows is None else rows
    return lambda: ((part, attributions[part]) for part in np.array_split(rows, parts))


def test_a_row_has_the_same_key_in_a_longer_list_and_another_with_another_seed():
    keys = row_keys(0, 1000)
    assert np.array_equal(keys[:300], row_keys(0, 300)) and keys.min() >= 0 and keys.max() < 1
    assert abs(keys.mean() - 0.5) < 0.05
    assert abs(np.corrcoef(keys, row_keys(1, 1000))[0, 1]) < 0.1


def test_a_cell_has_at_most_so_many_photos_each_once_and_all_where_there_are_fewer(world):
    image_ids, cell, _ = world
    sample = chosen(world, seed=0)
    assert np.array_equal(sample.rows, np.unique(sample.rows)) and np.array_equal(cell[sample.rows], sample.cells)
    for k in range(12):
        photos = image_ids[sample.rows[sample.cells == k]]
        there = np.unique(image_ids[cell == k])
        assert len(photos) == len(set(photos)) == min(len(there), MOST)
    few = sample.cells == 7
    every = np.flatnonzero(cell == 7)
    if few.sum() == len(np.unique(image_ids[every])):
        assert sample.weights[few].sum() == pytest.approx(len(every)), "each stands for its photo's members"


def test_what_stands_for_a_coarse_cell_stands_for_a_finer_one_inside_it(world):
    _, cell, _ = world
    coarse = np.where(cell < 0, -1, cell // 3)
    assert set(chosen(world, 3, cells=coarse, count=4).rows) <= set(chosen(world, 3).rows)
    assert not set(chosen(world, 4, cells=coarse, count=4).rows) <= set(chosen(world, 3).rows), "the control"


def test_what_stands_for_a_cell_often_stands_for_one_of_another_layer_too(world):
    _, cell, _ = world
    one, other = chosen(world, 3), chosen(world, 3, cells=np.random.default_rng(1).permutation(cell))
    strange = chosen(world, 4, cells=np.random.default_rng(1).permutation(cell))
    shared = [len(np.intersect1d(one.rows, sample.rows)) / len(one.rows) for sample in (other, strange)]
    assert shared[0] > 0.3 > 0.1 > shared[1], "half of the passes, or less, where photos give one activation each"


def test_over_many_seeds_the_means_are_right_and_unweighted_ones_are_not(world):
    _, cell, attributions = world
    truth = np.stack([attributions[cell == k].astype(float).mean(axis=0) for k in range(12)])
    weighted, plain, errors = [], [], []
    for seed in range(300):
        sample = chosen(world, seed, most=60)  # more than half of a cell's photos
        alike = CellSample(sample.rows, sample.cells, np.ones(len(sample.rows)), 12)
        found = average_cells(sample, reading(attributions), np.zeros(CLASSES))
        weighted.append(found.attributions)
        plain.append(average_cells(alike, reading(attributions), np.zeros(CLASSES)).attributions)
        errors.append(found.errors.astype(float))
    spread = np.std(weighted, axis=0)
    spread[spread < 1e-3] = np.inf  # where all members carry attributions
    off, off_unweighted = (np.abs(np.mean(means, axis=0) - truth) / spread for means in (weighted, plain))
    assert off.max() < 0.3, "of the standard deviation of one draw; 300 draws leave 0.06"
    assert off_unweighted.max() > 1 and np.median(off_unweighted[:, 0]) > 4 * np.median(off[:, 0]), "the control"
    # The error that is told is that which there is, or a little more.
    ratio = (np.sqrt(np.mean(np.square(errors), axis=0)) / spread)[np.isfinite(spread)]
    assert 0.9 < np.median(ratio) < 1.6
    within = np.abs(np.array(weighted) - truth) <= 2 * np.array(errors) + 1e-3
    assert 0.93 < within.mean() < 0.999


def test_where_each_photo_gives_one_member_the_error_is_that_of_textbooks(world):
    _, cell, attributions = world
    sample = choose_members(*members_of(cell, 12), np.arange(N), row_keys(0, N), 16)
    found = average_cells(sample, reading(attributions), np.zeros(CLASSES))
    for k in range(12):
        values = attributions[sample.rows[sample.cells == k]].astype(float)
        n, count = len(values), (cell == k).sum()
        expected = np.sqrt(values.var(axis=0, ddof=1) / n * max(1 - n / count, 0))
        # The chance to be taken is estimated from the 17th key, so the count that weights add up to is one too.
        assert np.allclose(found.errors[k], expected, rtol=0.05, atol=1e-3)
        assert np.allclose(found.attributions[k], values.mean(axis=0), atol=1e-6) and found.photos[k] == n
    everyone = choose_members(*members_of(cell, 12), np.arange(N), row_keys(0, N), N)
    assert (average_cells(everyone, reading(attributions), np.zeros(CLASSES)).errors == 0).all()


def test_parts_and_their_order_do_not_matter_and_rows_that_failed_are_left_out(world):
    _, _, attributions = world
    sample = chosen(world, 5)
    rows = sample.rows
    one = average_cells(sample, reading(attributions, rows, parts=1), np.zeros(CLASSES))
    many = average_cells(sample, reading(attributions, rows[::-1], parts=9), np.zeros(CLASSES))
    assert np.allclose(one.attributions, many.attributions, atol=1e-6) and np.allclose(
        one.errors, many.errors, atol=2e-3
    )
    average = np.array([1.0, 2.0, 3.0])
    lacking = average_cells(sample, reading(attributions, rows[sample.cells != 2]), average)
    assert lacking.photos[2] == 0 and np.array_equal(lacking.attributions[2], average)
    assert np.isnan(lacking.errors[2]).all()
    others = np.arange(12) != 2
    assert np.allclose(lacking.attributions[others], one.attributions[others], atol=1e-6)
    single = average_cells(sample, reading(attributions, rows[[np.flatnonzero(sample.weights > 1)[0]]]), average)
    assert np.isnan(single.errors[single.photos == 1]).all(), "one member does not tell how far it may be off"


def test_no_cell_gives_no_sample():
    sample = choose_members(np.zeros(1, np.int64), np.empty(0, np.int64), np.arange(9), row_keys(0, 9), 4)
    found = average_cells(sample, reading(np.ones((9, 2))), np.zeros(2))
    assert len(sample.rows) == 0 and found.attributions.shape == (0, 2)


def test_the_average_is_of_a_uniform_sample_and_the_sample_of_cells_would_be_off(world):
    image_ids, cell, attributions = world
    rare = (cell == 7)[:, None] * 40.0  # a cell of few members, all cells being equally many in the cells' sample
    attributions = (attributions + rare).astype(np.float16)
    truth = attributions.astype(float).mean(axis=0)
    means, errors, by_cells = [], [], []
    for seed in range(200):
        rows = choose_for_average(row_keys(seed, N), 200)
        assert len(np.unique(rows)) == 200
        mean, error = average_all(rows, N, reading(attributions))
        means.append(mean)
        errors.append(error)
        by_cells.append(attributions[chosen(world, seed).rows].astype(float).mean(axis=0))
    spread = np.std(means, axis=0)
    assert (np.abs(np.mean(means, axis=0) - truth) < 0.3 * spread).all()
    assert (np.abs(np.mean(by_cells, axis=0) - truth) > 2 * spread).any(), "the control"
    assert np.allclose(np.sqrt(np.mean(np.square(errors), axis=0)), spread, rtol=0.2)
    rows = choose_for_average(row_keys(0, N), N)
    mean, error = average_all(rows, N, reading(attributions))
    assert np.allclose(mean, truth, atol=1e-3) and (error == 0).all()
