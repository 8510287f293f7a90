"""Which cells are told, of neighbours that are made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from actatlas.projection.reaching import Neighbours, reach_of
from actatlas.projection.settings import ProjectionSettings

CELLS, EACH, NEAR, PHOTOS = 300, 20, 20, 200
SIDE, SQUARES = 20, np.arange(CELLS)


def neighbours(lacking: int, seed: int = 0) -> tuple[Neighbours, np.ndarray]:
    """Cells of 20 activations, each with 20 neighbours of the cell's 40 photos, none new in `lacking` ones. Each
    is of a photo of its own, whose neighbours are the same.
    """
    random = np.random.default_rng(seed)
    photos = np.empty((CELLS * EACH, NEAR), np.int64)
    cells = np.repeat(np.arange(CELLS), EACH)
    for cell in range(CELLS):
        of_cell = random.choice(PHOTOS if cell < lacking else 2 * PHOTOS, 40, replace=False)
        photos[cells == cell] = random.choice(of_cell, (EACH, NEAR))
    is_new = np.arange(2 * PHOTOS) >= PHOTOS
    every = np.arange(CELLS * EACH)
    half, nearest = np.full(len(every), 0.5), np.zeros(len(every))
    return Neighbours(every, every, photos, photos, is_new, half, nearest), cells


@pytest.mark.parametrize("lacking", [1, 2, 60])
def test_few_clear_cells_among_hundreds_are_told_and_hardly_any_others(lacking):
    reach = reach_of(*neighbours(lacking), SQUARES, SIDE, ProjectionSettings())
    told = np.flatnonzero(reach.states == "unreached")
    assert set(range(lacking)) <= set(told.tolist())
    assert len(told) - lacking <= 0.2 * lacking


def test_where_the_sets_are_alike_no_cell_is_told_whatever_the_chance():
    told = [
        int((reach_of(*neighbours(0, seed), SQUARES, SIDE, ProjectionSettings(seed=seed)).states != "alike").sum())
        for seed in range(5)
    ]
    assert np.mean(np.array(told) > 0) <= 0.2  # one in ten is allowed


def test_shares_of_chance_are_what_they_say():
    reach = reach_of(*neighbours(0), SQUARES, SIDE, ProjectionSettings(false_share=1.0))
    raw = np.sort(reach.p)
    assert raw[0] > 0.05  # of 300 alike cells the smallest, false ones among many allowed for


@pytest.mark.parametrize("seed", range(3))
def test_cells_that_lie_together_are_told_and_as_far_off_ones_that_lie_apart_are_not(seed):
    told = []
    for places in ([41, 42, 43, 61, 62, 63], [0, 5, 10, 100, 105, 110]):
        random, (near, cells) = np.random.default_rng(seed), neighbours(0, seed)
        for cell in places:  # of the photos near it 11 of 40 are new, 20 elsewhere
            own, new = (random.choice(PHOTOS, count, replace=False) for count in (29, 11))
            near.photos[cells == cell] = random.choice(np.concatenate([own, PHOTOS + new]), (EACH, NEAR))
        reach = reach_of(near, cells, SQUARES, SIDE, ProjectionSettings())
        told.append(np.flatnonzero(reach.states != "alike").tolist())
    assert len(told[0]) >= 5 and set(told[0]) <= {41, 42, 43, 61, 62, 63}
    assert told[1] == []


def test_photos_as_wholes_tell_what_single_places_do_not():
    near, cells = neighbours(0)
    lacking, random = 7, np.random.default_rng(0)
    is_in = cells == lacking
    own, new = (random.choice(PHOTOS, count, replace=False) for count in (14, 6))  # 0.6: alike, as far as chance goes
    near.photos[is_in] = random.choice(np.concatenate([own, PHOTOS + new]), (EACH, NEAR))
    wholes = near.photos.copy()
    wholes[is_in] = random.choice(random.choice(PHOTOS, 20, replace=False), (EACH, NEAR))
    by_places = reach_of(near, cells, SQUARES, SIDE, ProjectionSettings())
    by_both = reach_of(replace(near, photos_of_photos=wholes), cells, SQUARES, SIDE, ProjectionSettings())
    assert by_places.states[lacking] == "alike"
    assert by_both.states[lacking] == "unreached"
    assert by_both.values[lacking] == pytest.approx((0.6 + 0) / 2, abs=0.06)


def test_neighbours_that_are_not_there_count_for_nothing():
    near, cells = neighbours(1)
    photos = np.hstack([near.photos, np.full((len(cells), 30), -1)])
    padded = replace(near, photos=photos, photos_of_photos=photos)
    want, got = (reach_of(one, cells, SQUARES, SIDE, ProjectionSettings()) for one in (near, padded))
    assert np.array_equal(want.values, got.values) and want.states.tolist() == got.states.tolist()
