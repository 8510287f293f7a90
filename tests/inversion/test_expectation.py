"""What photos look like is learnt from patches, predicts patches that were not seen, and draws pictures to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from actatlas.inversion import InversionSettings, Painting, expectation, learn_expectation, measure_icons
from actatlas.inversion.expectation import Looks
from actatlas.inversion.renderer import Renderer
from actatlas.networks import Network
from actatlas.values import ColourStatistics, Expectation

LAYER = "blocks.4.expanded"
COLOUR = ColourStatistics(
    mean=np.array([0.5, 0.45, 0.4], np.float32),
    covariance=np.array([[0.07, 0.06, 0.05], [0.06, 0.07, 0.06], [0.05, 0.06, 0.07]], np.float32),
)
SIDE = 64


def _patches(count: int, seed: int) -> np.ndarray:
    """(count, SIDE, SIDE, 3) uint8: stripes of any width, contrast, slant and colour."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    found = []
    for _ in range(count):
        angle, width, contrast = rng.uniform(0, np.pi), rng.uniform(3, 14), rng.uniform(5, 90)
        waves = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / width)
        found.append(rng.uniform(60, 190, 3) + contrast * waves[..., None])
    return np.clip(np.stack(found), 0, 255).astype(np.uint8)


def _looks(network: Network, expectation: Expectation, pictures: np.ndarray) -> np.ndarray:
    pixels = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float() / 255
    with torch.no_grad():
        return Looks(network, expectation.layers, COLOUR, 3).of(pixels).numpy()


@pytest.fixture(scope="module")
def learnt(network: Network) -> tuple[Expectation, np.ndarray]:
    patches = _patches(160, seed=0)
    vectors = measure_icons(network, LAYER, patches)
    mean = vectors.mean(axis=0)
    return learn_expectation(network, LAYER, vectors, patches, np.arange(160), mean, COLOUR, InversionSettings()), mean


def test_the_look_of_a_patch_that_was_not_seen_is_predicted(network: Network, learnt):
    expectation, mean = learnt
    unseen = _patches(24, seed=1)
    centred = measure_icons(network, LAYER, unseen) - mean
    true = _looks(network, expectation, unseen) / expectation.scale
    right = np.abs(expectation.looks(centred) / expectation.scale - true).mean()
    shuffled = np.abs(expectation.looks(np.roll(centred, 1, axis=0)) / expectation.scale - true).mean()
    assert right < 0.7 * shuffled
    assert expectation.explained[0] > 0.3


def test_emphasis_leads_as_many_times_as_far_from_the_usual_look(learnt):
    expectation, mean = learnt
    centred = mean[None] * 0.3
    once, thrice = (expectation.looks(centred, emphasis) - expectation.offset for emphasis in (1.0, 3.0))
    assert np.abs(once).max() > 0 and np.allclose(thrice, 3 * once, atol=1e-4 * np.abs(once).max())


def test_pictures_are_drawn_to_what_is_expected(network: Network, learnt):
    expectation, mean = learnt
    centred = measure_icons(network, LAYER, _patches(4, seed=2)) - mean
    expected = expectation.looks(centred)
    shares = np.concatenate([np.full(n, 1 / n) for n in expectation.group_counts])
    far = {}
    for likeness in (0.0, 4.0):
        settings = InversionSettings(size_px=SIDE, likeness=likeness, emphasis=1.0, contrast=0)
        renderer = Renderer(network, LAYER, mean, COLOUR, settings, expectation)
        pictures = renderer.paint(centred, np.arange(4), 80, None, None, renderer.no_correction)
        found = _looks(network, expectation, pictures)
        far[likeness] = float((((found - expected) / expectation.scale) ** 2 @ shares).mean())
    assert far[4.0] < 0.8 * far[0.0]


def test_what_all_pictures_lack_is_made_good_by_a_correction(network: Network, learnt):
    """Gone over three times: as it comes, corrected by what was lacking, and by twice that."""
    expectation, mean = learnt
    targets = measure_icons(network, LAYER, _patches(8, seed=4))
    shares = np.concatenate([np.full(n, 1 / n) for n in expectation.group_counts])

    def lacking(correction: float) -> float:
        settings = InversionSettings(
            size_px=SIDE, contrast=0, likeness=14, steps=(40,), repeats=(16, 16, 16), correction=correction
        )
        renderer = Renderer(network, LAYER, mean, COLOUR, settings, expectation)
        painting = Painting(renderer, targets, mean, settings, np.arange(8))
        painting.paint_rounds()
        return float((renderer.lacking(painting.pictures, targets - mean) / expectation.scale) ** 2 @ shares)

    plain, once, twice = (lacking(correction) for correction in (0, 1, 2))
    assert once < 0.92 * plain and twice < 0.98 * once, (plain, once, twice)


def test_an_expectation_that_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="weights are"):
        Expectation(("a",), (4, 2), (0.0, 0.0), np.zeros((3, 2)), np.zeros((2, 5)), np.zeros(6), np.ones(6))


@pytest.mark.parametrize("rows", [24, 64, 200])
def test_what_is_learnt_is_a_ridge_whether_there_are_more_patches_or_more_channels(rows: int):
    random = np.random.default_rng(0)
    x = (random.normal(size=(rows, 64)) * np.geomspace(3, 0.1, 64)).astype(np.float32)
    y = random.normal(size=(rows, 5)).astype(np.float32)
    weights, offset = expectation._Spread(torch.from_numpy(x), torch.from_numpy(y)).solved(torch.tensor(3.0))
    centred = (x - x.mean(axis=0)).astype(np.float64)
    scatter = centred.T @ centred
    penalty = 3.0 * np.trace(scatter) / 64
    ridge = np.linalg.solve(scatter + penalty * np.eye(64), centred.T @ (y - y.mean(axis=0)))
    assert np.allclose(weights.numpy(), ridge, atol=1e-5)
    assert np.allclose(offset.numpy(), y.mean(axis=0) - x.mean(axis=0) @ ridge, atol=1e-5)


def test_looks_of_full_icons_reach_over_half_of_the_network_and_those_of_drafts_end_at_the_layer(network: Network):
    patches = _patches(16, seed=5)
    vectors = measure_icons(network, LAYER, patches)
    given = network, LAYER, vectors, patches, np.arange(16), vectors.mean(axis=0), COLOUR
    order = [info.name for info in network.layers]
    full, draft = (
        [order.index(name) for name in learn_expectation(*given, settings).layers]
        for settings in (InversionSettings(), InversionSettings().as_draft())
    )
    spread = [order.index(name) for name in network.spread_layers]
    own = order.index(network.layer(LAYER).name)
    assert max(full) == spread[-(-7 * len(spread) // 12) - 1] > own
    assert max(draft) == own and len(draft) < len(full)
