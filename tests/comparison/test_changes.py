"""Checkpoints that were changed in a known way: what is told of them is what was changed."""

from __future__ import annotations

import numpy as np
import pytest

import actatlas
from actatlas.comparison import ComparisonSettings, choose_layers, compare_layers
from actatlas.progress import Silent

GRID = 8


@pytest.fixture(scope="module")
def bench(load_script):
    return load_script("benchmarks/comparison.py")


@pytest.fixture(scope="module")
def chosen(bench, photos):
    """120 photos, 48 of them of dogs."""
    return bench.chosen_photos(photos, 120)


@pytest.fixture(scope="module")
def built(bench, chosen, tmp_path_factory):
    """built(network): its atlas of these photos, or of others."""

    def build(network, of=chosen):
        return actatlas.build(
            of, model=network, layers=[bench.LAYER], grids=[4], positions=8, icon_px=16, draft=True,
            out=tmp_path_factory.mktemp("built") / "atlas", progress=False,
        )  # fmt: skip

    return build


@pytest.fixture(scope="module")
def before(bench, built):
    return built(bench.base())


def compared(first, second):
    one, other, told = choose_layers(first, second)
    assert told == "", "both have the layer"
    return compare_layers(one, other, ComparisonSettings(grid=GRID), Silent())


def test_what_a_fine_tuned_checkpoint_no_longer_keeps_together_vanishes(bench, chosen, built, before):
    found = compared(before, built(bench.scattered(chosen, steps=80, batch=12)))
    gone = found.own[0].is_gone
    is_dog = bench.dog_shares(found, found.own[0].of, len(gone)) > 0.5
    assert gone.sum() >= 5, "something vanished"
    assert is_dog[gone].mean() >= 0.9 and is_dog[gone].mean() > 1.5 * is_dog.mean(), "and nearly all of it is dogs"
    assert gone[is_dog].mean() > 0.3 and found.own[1].is_gone.sum() <= 2
    turned = compared(found.layers[1].atlas, before)
    assert turned.own[1].is_gone.sum() == gone.sum(), "the other way round they appear"
    of_dog = np.array([bench.is_dog(found.layers[0].atlas.source.records[i].path) for i in found.matched.image_ids])
    assert found.overlap[of_dog].mean() < 0.5 * found.overlap[~of_dog].mean()


def test_classes_that_changed_places_are_told_as_those(bench, photos, built):
    # A fifth of the classes change places; with half the photos, what can be told of so few cells is left to the map.
    of = bench.chosen_photos(photos, 240)
    found = compared(built(bench.base(), of), built(bench.swapped(), of))
    assert np.mean(found.overlap) > 0.999 and found.whole.value == pytest.approx(1, abs=1e-3), "the same features"
    tops = [said.top for said in found.spoken]
    is_told = np.array([change == "class" for change in found.shared.changes])
    assert is_told.sum() >= 4 and not any(cells.is_gone.any() for cells in found.own)
    assert np.array_equal(tops[1][is_told], bench.partner(tops[0][is_told]))
    assert (tops[0][is_told] != tops[1][is_told]).all()


def test_noise_on_the_weights_changes_neighbours_and_no_concept(bench, built, before):
    found = compared(before, built(bench.noisy(0.02)))
    assert 0.5 < found.overlap.mean() < 0.95 and found.whole.value > 0.9
    told = sum(cells.is_gone.sum() for cells in found.own) + sum(map(bool, found.shared.changes))
    assert told <= 1
