"""Painting: pictures answer their own target, come from their key alone, and never from numbers that are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from actatlas.errors import NetworkError, UsageError
from actatlas.inversion import InversionSettings, Painting, Renderer, directions_of, invert, measure, measure_icons
from actatlas.inversion.prior import NaturalPrior
from actatlas.inversion.renderer import enlarged_px
from actatlas.inversion.sheet import Sheet
from actatlas.networks import Network
from actatlas.preprocessing import Preprocessing
from actatlas.values import ColourStatistics

LAYER = "blocks.6.expanded"
FEW = InversionSettings(
    steps=(24,), repeats=(), batch_size=3, size_px=64, contrast=0, brightness_exponent=1.2, rate=0.2
)
COLOUR = ColourStatistics(
    mean=np.array([0.49, 0.46, 0.41], np.float32),
    covariance=np.array([[0.074, 0.065, 0.058], [0.065, 0.071, 0.067], [0.058, 0.067, 0.077]], np.float32),
)


@pytest.fixture(scope="module")
def targets(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """(3, C) answers to stripes, dots and a plain half, and the mean over these and 9 random pictures."""
    y, x = np.mgrid[:64, :64]
    drawn = [np.sin(x / 2) > 0, (np.hypot(x % 12 - 6, y % 12 - 6) < 4), y > 32]
    pictures = np.stack([np.repeat(np.where(d, 220, 40)[..., None], 3, axis=2) for d in drawn]).astype(np.uint8)
    random = _random_canvases(9)
    answers = measure_icons(network, LAYER, np.concatenate([pictures, random]))
    return answers[:3], answers.mean(axis=0)


def _random_canvases(count: int) -> np.ndarray:
    prior = NaturalPrior(COLOUR, 64, 3, FEW)
    pixels = prior.picture(prior.draw(range(100, 100 + count)))
    return (pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def test_a_picture_answers_its_own_target_and_far_better_than_a_random_one(network: Network, targets):
    vectors, mean = targets
    rows = np.arange(3)
    painted = measure(network, LAYER, invert(network, LAYER, vectors, mean, COLOUR, FEW, rows), vectors, rows, mean)
    control = measure(network, LAYER, _random_canvases(3), vectors, rows, mean)
    assert painted.rank.tolist() == [0, 0, 0]
    assert painted.cosine.min() > 0.5
    assert painted.cosine.mean() > control.cosine.mean() + 0.4
    assert painted.shifted_cosine.mean() > control.shifted_cosine.mean() + 0.3


def test_what_a_picture_becomes_depends_on_nothing_but_what_it_is_given(network: Network, targets):
    vectors, mean = targets
    settings = InversionSettings(batch_size=3, size_px=48)
    renderer = Renderer(network, LAYER, mean, COLOUR, settings)
    start = np.stack([np.full((48, 48, 3), value, np.uint8) for value in (60, 120, 200)])
    rivals = directions_of(vectors, mean)[[[0, 1], [1, 2], [2, 0]]]

    def paint(rows: list[int], keys: list[int], first: np.ndarray | None) -> np.ndarray:
        started = None if first is None else first[rows]
        return renderer.paint((vectors - mean)[rows], np.array(keys), 3, started, rivals[rows], renderer.no_correction)

    for first in (None, start):
        together = paint([0, 1, 2], [5, 6, 7], first)
        assert np.array_equal(paint([2, 0], [7, 5], first), together[[2, 0]])
    assert not np.array_equal(paint([0], [11], None), paint([0], [5], None))
    assert not np.array_equal(paint([0], [5], start), paint([0], [5], None))


def test_mending_changes_pictures_that_are_not_told_from_the_others_and_those_alone(network: Network):
    """Twelve targets in six pairs that are nearly alike, painted in too few steps to tell them apart."""
    answers = measure_icons(network, LAYER, _random_canvases(12))
    mean = answers.mean(axis=0)
    targets = answers.copy()
    targets[6:] = targets[:6] + 0.15 * (answers[6:] - mean)
    settings = InversionSettings(size_px=64, first_count=6, steps=(4, 2), repeats=(), contrast=0.05)
    painting = Painting(Renderer(network, LAYER, mean, COLOUR, settings), targets, mean, settings, np.arange(12))
    for _ in painting.rounds:
        painting.paint_round()
    before = painting.pictures.copy()
    rows, pictures = painting.mend()
    is_same = (painting.pictures == before).all(axis=(1, 2, 3))
    assert np.array_equal(np.flatnonzero(~is_same), rows) and np.array_equal(painting.pictures[rows], pictures)
    ranks = [measure(network, LAYER, p, targets, np.arange(12), mean).rank for p in (before, painting.pictures)]
    assert (ranks[1] == 0).sum() > (ranks[0] == 0).sum()
    assert np.isin(np.flatnonzero(ranks[0] > 1), rows).all()


def test_what_is_seen_enlarged_too_answers_at_both_scales(network: Network):
    layer = "blocks.15.expanded"
    answers = measure_icons(network, layer, _random_canvases(12))
    targets, mean, rows = answers[:4], answers.mean(axis=0), np.arange(4)
    cosines = {}
    for factor in (1.0, 5 / 3):
        settings = replace(FEW, size_px=80, enlarged=factor)
        pictures = invert(network, layer, targets, mean, COLOUR, settings, rows)
        assert pictures.shape == (4, 96, 96, 3)
        large = np.stack([np.array(Image.fromarray(p).resize((160, 160), Image.Resampling.BILINEAR)) for p in pictures])
        cosines[factor] = [measure(network, layer, p, targets, rows, mean).cosine.mean() for p in (pictures, large)]
    assert cosines[5 / 3][1] > cosines[1.0][1] + 0.05
    assert cosines[5 / 3][0] > cosines[1.0][0] - 0.25


def test_only_what_a_layer_sees_at_once_is_enlarged(network: Network):
    for layer, side, enlarged in (
        ("blocks.3.expanded", 80, 80),  # it sees 19 px
        ("blocks.11.expanded", 80, 144),
        ("blocks.15.expanded", 96, 160),
        ("blocks.15.expanded", 224, 224),  # more than the network's input
    ):
        assert enlarged_px(network, layer, side, 5 / 3) == enlarged
        assert enlarged_px(network, layer, side, 1.0) == side


def test_as_few_as_may_stay_mistaken_are_not_painted_on(network: Network):
    answers = measure_icons(network, LAYER, _random_canvases(12))
    mean = answers.mean(axis=0)
    wrong = np.roll(np.arange(12), 1)
    for mistaken, is_mended in ((1.0, False), (0.5, True)):
        settings = InversionSettings(size_px=64, steps=(8, 8), repeats=(), mistaken=mistaken)
        painting = Painting(Renderer(network, LAYER, mean, COLOUR, settings), answers, mean, settings, np.arange(12))
        painting.paint_rounds()
        painting.settle(painting.pictures[wrong])
        rows, _ = painting.mend()
        assert (len(rows) > 0) == is_mended


def test_what_mending_does_not_help_is_mended_longer_and_more_firmly_each_time(network: Network):
    answers = measure_icons(network, LAYER, _random_canvases(6))
    mean = answers.mean(axis=0)
    settings = InversionSettings(size_px=48, steps=(6, 2), repeats=())
    painting = Painting(Renderer(network, LAYER, mean, COLOUR, settings), answers, mean, settings, np.arange(6))
    painting.settle(np.stack([np.full(painting.pictures.shape[1:], 128, np.uint8)] * 6))  # answers that are all alike
    asked: list[Sheet] = []

    def paint(sheet: Sheet) -> np.ndarray:
        assert sheet.start is not None
        asked.append(sheet)
        return sheet.start

    painting.mend(paint)
    assert [sheet.steps for sheet in asked] == [2, 4, 6, 6, 6]
    assert [sheet.contrast for sheet in asked] == pytest.approx([0.12, 0.24, 0.36, 0.48, 0.6])


def test_the_prior_has_the_photos_own_colours_and_a_falling_spectrum():
    prior = NaturalPrior(COLOUR, 48, 3, FEW)
    planes = torch.logit(prior.picture(prior.draw(range(200)))).double()
    slope = COLOUR.mean * (1 - COLOUR.mean)
    found = np.cov(planes.permute(1, 0, 2, 3).flatten(1).numpy()) * np.outer(slope, slope)
    assert found == pytest.approx(COLOUR.covariance, rel=0.15)
    white = NaturalPrior(COLOUR, 48, 3, InversionSettings(brightness_exponent=0.0, colour_exponent=0.0))
    rough, rougher = (_roughness(p.picture(p.draw(range(20)))) for p in (prior, white))
    assert rough < 0.5 * rougher


def _roughness(pictures: torch.Tensor) -> float:
    return ((pictures[:, :, 1:] - pictures[:, :, :-1]).abs().mean() / pictures.std()).item()


def test_a_network_with_a_fixed_input_is_painted_for_in_its_middle():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 12 * 12, 10))
    network = Network(module, Preprocessing((96, 96), 96, mean=(0.5,) * 3, std=(0.5,) * 3))
    assert network.is_fixed_size
    vectors = measure_icons(network, "1", _random_canvases(4))
    mean, rows = vectors.mean(axis=0), np.arange(4)
    pixels = invert(network, "1", vectors, mean, COLOUR, InversionSettings(steps=(24,), repeats=()), rows)
    assert pixels.shape == (4, 80, 80, 3)
    plain = np.full_like(pixels, 127)
    painted, control = (measure(network, "1", p, vectors, rows, mean).cosine.mean() for p in (pixels, plain))
    assert painted > control + 0.3


def test_a_small_network_with_one_channel_gets_small_grey_pictures():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)
    )
    network = Network(module, Preprocessing((28, 28), 28, mean=(0.5,), std=(0.5,), channel_count=1))
    vectors, rows = np.eye(6, dtype=np.float32)[:3], np.arange(3)
    mean = np.full(6, 0.2, np.float32)
    pixels = invert(network, "1", vectors, mean, COLOUR, InversionSettings(steps=(24,), repeats=()), rows)
    assert pixels.shape == (3, 64, 64, 3)
    assert (pixels == pixels[..., :1]).all() and pixels.std() > 5
    painted = measure(network, "1", pixels, vectors, rows, mean).cosine
    grey = measure(network, "1", np.full_like(pixels, 127), vectors, rows, mean).cosine
    assert painted.mean() > grey.mean() + 0.1


def test_targets_that_are_no_directions_of_the_layer_are_refused(network: Network, targets):
    vectors, mean = targets
    broken = vectors.copy()
    broken[1, 3] = np.nan
    with pytest.raises(UsageError, match=r'target 1 of layer "blocks.6.expanded" holds NaN'):
        invert(network, LAYER, broken, mean, COLOUR, FEW, np.arange(3))
    with pytest.raises(UsageError, match="480 channels"):
        invert(network, LAYER, vectors[:, :7], mean, COLOUR, FEW, np.arange(3))
    with pytest.raises(UsageError, match="3 targets, but 2 keys"):
        invert(network, LAYER, vectors, mean, COLOUR, FEW, np.arange(2))


def test_a_target_that_is_the_mean_itself_leaves_the_picture_plain(network: Network, targets):
    _, mean = targets
    settings = InversionSettings(steps=(2,), repeats=(), batch_size=1, size_px=64)
    pixels = invert(network, LAYER, mean[None], mean, COLOUR, settings, np.arange(1))
    assert pixels.std(axis=(1, 2)).max() < 5


class _Broken(nn.Module):
    """Gives no numbers where its input's mean is above `bound`."""

    def __init__(self, bound: float):
        super().__init__()
        self.bound = bound
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        is_fine = x.mean(dim=(1, 2, 3), keepdim=True) <= self.bound
        return self.conv(x) * torch.where(is_fine, 1.0, float("nan"))


def test_a_network_that_gives_no_numbers_is_named():
    network = Network(_Wrapped(_Broken(0.0)), Preprocessing((64, 64), 64), spec="broken")
    vectors = np.eye(4, dtype=np.float32)
    with pytest.raises(NetworkError, match='layer "inner" of broken answers with NaN'):
        invert(network, "inner", vectors, vectors.mean(axis=0), COLOUR, FEW, np.arange(4))


class _Wrapped(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.inner(x)).flatten(1)


def test_a_picture_that_went_astray_is_painted_again_slower():
    module, slow = _Broken(bound=0.49), replace(FEW, steps=(16,), rate=0.16)
    with torch.no_grad():
        module.conv.weight.fill_(1 / 27)
        module.conv.weight[1:] = 0
        module.conv.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    network = Network(_Wrapped(module), Preprocessing((64, 64), 64), spec="bright")
    brighter, mean = np.eye(4, dtype=np.float32)[:1], np.zeros(4, np.float32)
    pixels = invert(network, "inner", brighter, mean, COLOUR, slow, np.arange(1))
    assert 117 < pixels.mean() < 0.49 * 255
    with torch.no_grad():
        module.bound = 2.0
    assert invert(network, "inner", brighter, mean, COLOUR, slow, np.arange(1)).mean() > 128


@pytest.mark.parametrize(
    ("name", "value"), [("steps", (0,)), ("steps", ()), ("rate", 0.0), ("size_px", 2), ("batch_size", 0)]
)
def test_settings_that_cannot_be_are_refused(name: str, value: object):
    with pytest.raises(UsageError, match=name):
        InversionSettings(**{name: value})


def test_icons_that_are_to_be_named_are_told_from_others_only_in_mending():
    before = InversionSettings(contrast=0.03)  # as atlases keep it that were built when this was what all had
    assert before.to_be_named().contrast == 0 and before.to_be_named().mending_contrast > 0
    assert before.as_draft().contrast == InversionSettings().as_draft().contrast == 0.03
