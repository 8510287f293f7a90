"""Rounds: every target once, the first ones far apart, the later ones near a finished one."""

from __future__ import annotations

import numpy as np
import pytest

from actatlas.inversion import InversionSettings, Painting, Renderer, measure, measure_icons, round_sizes
from actatlas.inversion.rounds import most_similar, plan_rounds
from actatlas.networks import Network
from actatlas.values import ColourStatistics

SETTINGS = InversionSettings(first_count=8, steps=(9, 5, 2), repeats=(4, 3))


@pytest.fixture
def directions() -> np.ndarray:
    """(300, 6) in a dozen tight clusters."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(12, 6))
    vectors = np.repeat(centres, 25, axis=0) + 0.1 * rng.normal(size=(300, 6))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _sizes(rounds) -> list[tuple[int, int, bool]]:
    return [(len(turn.rows), turn.steps, turn.is_repeat) for turn in rounds]


def _planned(count: int, has_parents: bool = False) -> list[tuple[int, int, bool]]:
    return [(size.count, size.steps, size.is_repeat) for size in round_sizes(count, SETTINGS, has_parents)]


def test_every_target_is_painted_once_and_those_of_the_first_round_again(directions):
    rounds = plan_rounds(directions, SETTINGS)
    new = np.concatenate([turn.rows for turn in rounds if not turn.is_repeat])
    assert np.array_equal(np.sort(new), np.arange(300))
    assert _sizes(rounds) == _planned(300)
    assert _sizes(rounds)[:6] == [
        (8, 9, False), (8, 4, True), (8, 3, True), (8, 5, False), (16, 2, False), (64, 2, False),
    ]  # fmt: skip
    assert all(np.array_equal(rounds[k].rows, rounds[0].rows) for k in (1, 2))


def test_few_targets_fit_in_the_first_round(directions):
    assert _sizes(plan_rounds(directions[:5], SETTINGS)) == [(5, 9, False), (5, 4, True), (5, 3, True)]


def test_later_targets_have_a_more_similar_finished_one_than_a_random_order_would_give(directions):
    rounds = plan_rounds(directions, SETTINGS)
    done = rounds[0].rows
    rest = np.concatenate([turn.rows for turn in rounds[1:] if not turn.is_repeat])
    reached = (directions[rest] @ directions[done].T).max(axis=1)
    random = np.random.default_rng(0).permutation(300)
    control = (directions[random[8:]] @ directions[random[:8]].T).max(axis=1)
    assert reached.min() > control.min() + 0.1


def test_pictures_of_a_coarser_grid_stand_for_the_first_round(directions):
    rounds = plan_rounds(directions, SETTINGS, finished=directions[::10])
    assert _sizes(rounds) == _planned(300, has_parents=True)
    assert rounds[0].steps == 5 and not any(turn.is_repeat for turn in rounds)


def test_no_targets_give_no_rounds_and_the_most_similar_is_found_in_parts(directions):
    assert plan_rounds(directions[:0], SETTINGS) == []
    many = np.tile(directions, (3, 1))
    assert np.array_equal(most_similar(many, directions), (many @ directions.T).argmax(axis=1))


def test_a_picture_that_starts_from_a_similar_one_needs_fewer_steps(network: Network):
    """The same few steps, from nothing and from pictures of targets nearby."""
    layer, rows = "blocks.6.expanded", np.arange(3)
    colour = ColourStatistics(np.full(3, 0.5, np.float32), np.eye(3, dtype=np.float32) * 0.07)
    settings = InversionSettings(size_px=64, steps=(24, 4), repeats=(), batch_size=3, likeness=0, contrast=0)
    answers = measure_icons(network, layer, np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8))
    stripes = np.repeat(np.sin(np.arange(64) / np.array([[2], [4], [7]])) > 0, 64, axis=0).reshape(3, 64, 64, 1)
    base = measure_icons(network, layer, np.repeat(stripes, 3, axis=3).astype(np.uint8) * 200)
    mean, near = answers.mean(axis=0), 0.8 * base + 0.2 * answers[:3]
    renderer = Renderer(network, layer, mean, colour, settings)
    finished = Painting(renderer, base, mean, settings, rows)
    finished.paint_round()
    warm = Painting(renderer, near, mean, settings, rows, after=finished)
    warm.paint_round()
    cold = renderer.paint(near - mean, rows, warm.rounds[0].steps, None, None, renderer.no_correction)
    figures = [measure(network, layer, p, near, rows, mean).cosine.mean() for p in (warm.pictures, cold)]
    assert figures[0] > figures[1] + 0.05


def test_pictures_that_answer_more_like_another_target_are_mended(network: Network):
    layer = "blocks.6.expanded"
    colour = ColourStatistics(np.full(3, 0.5, np.float32), np.eye(3, dtype=np.float32) * 0.07)
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    smooth = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 64, axis=0)
    pictures = np.concatenate(
        [noise[:1], np.repeat(smooth, 3, axis=2)[None], np.rot90(np.repeat(smooth, 3, axis=2))[None]]
    )
    targets = measure_icons(network, layer, pictures)
    mean = measure_icons(network, layer, noise).mean(axis=0) * 0.5 + targets.mean(axis=0) * 0.5
    settings = InversionSettings(size_px=64, steps=(1, 24), repeats=(), batch_size=3, likeness=0)
    painting = Painting(Renderer(network, layer, mean, colour, settings), targets, mean, settings, np.arange(3))
    painting.paint_round()
    before = measure(network, layer, painting.pictures, targets, np.arange(3), mean).rank
    rows, mended = painting.mend()
    after = measure(network, layer, painting.pictures, targets, np.arange(3), mean).rank
    assert np.array_equal(rows, np.flatnonzero(before)) and len(rows) > 0
    assert np.array_equal(mended, painting.pictures[rows])
    assert (after == 0).sum() > (before == 0).sum()
