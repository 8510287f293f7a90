"""Cells against a reference that goes through them one by one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from actatlas.errors import UsageError
from actatlas.grid import GridSettings, default_sides, make_cells
from actatlas.values import ActivationSet, Layout


def activations(n: int = 900, channels: int = 7, classes: int = 5, photos: int = 60, seed: int = 0) -> ActivationSet:
    random = np.random.default_rng(seed)
    return ActivationSet(
        vectors=random.gamma(1.0, 2.0, (n, channels)).astype(np.float16),
        image_ids=random.integers(0, photos, n) * 3,
        positions=random.random((n, 2)).astype(np.float32),
        boxes=np.tile(np.array([0, 0, 1, 1], np.float32), (n, 1)),
        attributions=random.normal(size=(n, classes)).astype(np.float16),
    )


def part(whole: ActivationSet, rows: slice) -> ActivationSet:
    attributions = None if whole.attributions is None else whole.attributions[rows]
    return ActivationSet(
        whole.vectors[rows], whole.image_ids[rows], whole.positions[rows], whole.boxes[rows], attributions
    )


def in_shards(whole: ActivationSet, size: int):
    return lambda: (part(whole, slice(s, s + size)) for s in range(0, len(whole), size))


def clumped_layout(n: int, seed: int = 1) -> Layout:
    random = np.random.default_rng(seed)
    points = np.clip(random.normal(0.5, 0.2, (n, 2)), 0, 1).astype(np.float32)
    points[::17] = np.nan
    points[3] = 1.0
    return Layout(points)


def mean_of(whole: ActivationSet) -> np.ndarray:
    return whole.vectors.astype(np.float64).mean(axis=0).astype(np.float32)


@pytest.fixture(scope="module")
def whole() -> ActivationSet:
    return activations()


@pytest.mark.parametrize("shard_size", [900, 128, 1])
def test_cells_equal_a_reference_that_takes_them_one_by_one(whole, shard_size):
    layout, settings = clumped_layout(len(whole)), GridSettings(side=9, min_images=3, example_count=4)
    cells = make_cells(layout, in_shards(whole, shard_size), mean_of(whole), settings)

    k = dropped = 0
    for row in range(9):
        for column in range(9):
            members = [
                i
                for i, (x, y) in enumerate(layout.points)
                if not np.isnan(x) and min(int(np.floor(x * 9)), 8) == column and min(int(np.floor(y * 9)), 8) == row
            ]
            photos = {int(whole.image_ids[i]) for i in members}
            if len(photos) < 3:
                dropped += len(members)
                continue
            assert cells.coordinates[k].tolist() == [column, row]
            assert cells.members(k).tolist() == members
            assert (cells.counts[k], cells.image_counts[k]) == (len(members), len(photos))
            vectors = whole.vectors[members].astype(np.float64)
            np.testing.assert_allclose(cells.means[k], vectors.mean(axis=0), rtol=1e-6)
            effect = whole.attributions[members].astype(np.float64).mean(axis=0)
            np.testing.assert_allclose(cells.attributions[k], effect, rtol=1e-5, atol=1e-6)
            check_cohesion_and_examples(cells, k, whole, members)
            k += 1
    assert k == len(cells) and k > 20
    assert (cells.dropped_count, cells.cut_count) == (dropped, len(range(0, 900, 17))) and dropped > 0
    assert cells.counts.sum() + cells.dropped_count + cells.cut_count == len(whole)


def check_cohesion_and_examples(cells, k: int, whole: ActivationSet, members: list[int]) -> None:
    centre = mean_of(whole).astype(np.float64)
    mean = cells.means[k] - centre
    cosine = {}
    for i in members:
        v = whole.vectors[i].astype(np.float64) - centre
        cosine[i] = v @ mean / np.linalg.norm(v) / np.linalg.norm(mean)
    assert cells.cohesion[k] == pytest.approx(np.mean(list(cosine.values())), abs=1e-6)
    expected, photos = [], set()
    for i in sorted(members, key=lambda i: -cosine[i]):
        if whole.image_ids[i] not in photos:
            photos.add(whole.image_ids[i])
            expected.append(i)
    assert cells.example_rows[k].tolist() == (expected + [-1] * 4)[:4]


def test_members_are_counted_in_distinct_photos(whole):
    many_of_one_photo = ActivationSet(whole.vectors, np.zeros(900, np.int64), whole.positions, whole.boxes)
    layout = Layout(np.full((900, 2), 0.3, np.float32))
    settings = GridSettings(side=4)
    cells = make_cells(layout, in_shards(many_of_one_photo, 200), mean_of(whole), settings)
    assert len(cells) == 0 and cells.dropped_count == 900
    cells = make_cells(layout, in_shards(whole, 200), mean_of(whole), settings)
    assert len(cells) == 1 and cells.image_counts[0] == 60


def test_cells_of_a_network_without_logits_have_no_attributions(whole):
    plain = ActivationSet(whole.vectors, whole.image_ids, whole.positions, whole.boxes)
    cells = make_cells(clumped_layout(900), in_shards(plain, 300), mean_of(whole), GridSettings(side=5))
    assert len(cells) > 5 and cells.attributions is None


def test_an_activation_that_is_the_layers_mean_counts_as_cosine_zero():
    alike = ActivationSet(
        np.ones((6, 3), np.float16), np.arange(6), np.zeros((6, 2), np.float32), np.zeros((6, 4), np.float32)
    )
    layout = Layout(np.full((6, 2), 0.5, np.float32))
    cells = make_cells(layout, in_shards(alike, 4), np.ones(3, np.float32), GridSettings(side=2))
    assert cells.cohesion.tolist() == [0.0] and cells.example_rows[0, :6].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_shard_of_many_crops_takes_no_memory_but_its_own():
    whole = activations(n=100_000, channels=128, classes=2)
    layout, mean = clumped_layout(len(whole)), mean_of(whole)
    tracemalloc.start()
    try:
        make_cells(layout, lambda: iter([whole]), mean, GridSettings(side=9))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * whole.vectors.nbytes  # as numbers of 64 bits it takes four times its bytes, and is needed thrice


def test_large_values_do_not_overflow_the_means():
    n = 4000
    big = ActivationSet(
        np.full((n, 2), 60000, np.float16), np.arange(n), np.zeros((n, 2), np.float32), np.zeros((n, 4), np.float32)
    )
    layout = Layout(np.full((n, 2), 0.5, np.float32))
    cells = make_cells(layout, in_shards(big, 1000), np.zeros(2, np.float32), GridSettings(side=2))
    assert cells.means[0].tolist() == [60000, 60000] and cells.cohesion[0] == pytest.approx(1)


@pytest.mark.parametrize("side", [-1, 0, 1, 321, 1000])
def test_a_side_that_cannot_be_is_a_usage_error(side):
    with pytest.raises(UsageError, match=f"from 2 to 320, not {side}"):
        GridSettings(side=side)


def test_a_layout_of_other_rows_is_refused(whole):
    with pytest.raises(ValueError, match="5 points for 900"):
        make_cells(Layout(np.zeros((5, 2), np.float32)), in_shards(whole, 300), mean_of(whole), GridSettings(side=2))


def test_default_grids_grow_with_the_number_of_activations():
    assert default_sides(1_000_000) == [20, 40, 80, 160]
    assert default_sides(12_800) == [20, 40]
    assert default_sides(800) == [10]
    assert default_sides(1) == [2]
    assert all(GridSettings(side=s) for n in (1, 10, 10**7) for s in default_sides(n))
