"""Icons of every kind of network, with seeded weights: shapes, gradients and answers, not looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from actatlas.errors import UsageError
from actatlas.inversion import (
    InversionSettings,
    false_colours,
    invert,
    learn_expectation,
    measure,
    measure_icons,
    side_px,
)
from actatlas.networks import Network, load_network
from actatlas.preprocessing import Preprocessing
from actatlas.values import ColourStatistics

SETTINGS = InversionSettings(steps=(16,), repeats=(4,), first_count=4, batch_size=4, size_px=48)


def _colour(channel_count: int) -> ColourStatistics:
    covariance = 0.03 * np.eye(channel_count) + 0.04
    return ColourStatistics(np.full(channel_count, 0.45, np.float32), covariance.astype(np.float32))


def _pictures(count: int, side: int, channel_count: int, seed: int) -> np.ndarray:
    """Smooth blots, so that patches differ in more than noise."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((count, channel_count, 5, 5), np.float32))
    fine = nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0, 1)
    return (fine * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _small(channel_count: int, stride: int = 2) -> nn.Module:
    """A residual network for small pictures."""

    class Residual(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
            self.act1, self.act2 = nn.ReLU(), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act2(x + self.conv2(self.act1(self.conv1(x))))

    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(channel_count, 16, 3, stride=stride, padding=1), nn.ReLU(), Residual(16), Residual(16),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


def _own(channel_count: int, side: int) -> Network:
    means = (0.5,) * channel_count
    return Network(
        _small(channel_count), Preprocessing((side, side), side, mean=means, std=means, channel_count=channel_count)
    )


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (lambda: load_network("torchvision:resnet18@none"), "layer2"),
        (lambda: load_network("torchvision:googlenet@none"), "inception4a"),
        (lambda: load_network("timm:vit_tiny_patch16_224?pretrained=false"), "blocks.2"),
        (lambda: _own(1, 64), "2"),
        (lambda: _own(5, 64), "2"),
        (lambda: _own(3, 32), "2"),
    ],
    ids=["residual", "googlenet", "vision transformer", "1 channel", "5 channels", "32 px"],
)
def test_icons_of_any_kind_of_network_answer_their_targets(make, layer: str):
    network = make()
    channel_count = network.preprocessing.channel_count
    native = network.preprocessing.input_px[0]
    colour = _colour(max(channel_count, 3))
    patches = _pictures(24, min(48, native), max(channel_count, 3), seed=0)
    vectors = measure_icons(network, layer, patches)
    mean, rows = vectors.mean(axis=0), np.arange(4)
    learnt = learn_expectation(
        network, layer, vectors, patches[..., :channel_count], np.arange(24), mean, colour, SETTINGS
    )
    pictures = invert(network, layer, vectors[:4], mean, colour, SETTINGS, rows, learnt)
    assert pictures.shape == (4, 48, 48, max(channel_count, 3)) and pictures.dtype == np.uint8
    again = invert(network, layer, vectors[:4], mean, colour, SETTINGS, rows, learnt)
    assert np.array_equal(again, pictures)
    painted = measure(network, layer, pictures, vectors[:4], rows, mean).cosine.mean()
    plain = measure(network, layer, np.full_like(pictures, 115), vectors[:4], rows, mean).cosine.mean()
    assert painted > plain + 0.2
    seen = false_colours(pictures)
    assert seen.shape == (4, 48, 48, 3) and seen.std() > 3


def test_a_small_networks_icons_are_painted_at_their_own_size_not_scaled_up():
    network = _own(3, 32)
    vectors = measure_icons(network, "2", _pictures(4, 32, 3, seed=3))
    settings = InversionSettings(steps=(8,), repeats=(), batch_size=4)
    pictures = invert(network, "2", vectors, vectors.mean(axis=0), _colour(3), settings, np.arange(4))
    assert pictures.shape == (4, 64, 64, 3)
    halved = pictures[:, ::2, ::2].repeat(2, axis=1).repeat(2, axis=2)
    assert np.abs(halved.astype(int) - pictures).mean() > 1  # a picture scaled up would hardly differ


def test_an_icon_in_a_fixed_input_is_three_positions_wide_or_it_hardly_counts():
    network = load_network("timm:levit_128s?pretrained=false")
    layer = "stages.2.downsample.mlp.act"
    assert network.is_fixed_size and network.layer(layer).stride == 56
    assert [side_px(network, layer, px) for px in (56, 80, 200)] == [168, 168, 200]
    assert side_px(network, "stages.0.blocks.0.attn.proj.act", 80) == 80  # stride 16
    vectors = measure_icons(network, layer, _pictures(8, 224, 3, seed=4))
    mean, rows = vectors.mean(axis=0), np.arange(4)
    settings = InversionSettings(steps=(12,), repeats=(), batch_size=4, likeness=0.0)
    pictures = invert(network, layer, vectors[:4], mean, _colour(3), settings, rows)
    shrunk = pictures.reshape(4, 56, 3, 56, 3, 3).mean(axis=(2, 4)).astype(np.uint8)
    large, small = (measure(network, layer, p, vectors[:4], rows, mean).cosine.mean() for p in (pictures, shrunk))
    assert large > small + 0.1


def test_an_icon_may_be_smaller_than_the_network_takes_as_a_whole():
    network = load_network("torchvision:alexnet@none")
    with pytest.raises(RuntimeError, match="too small"):
        network.module(torch.zeros(1, 3, 48, 48))
    patches = _pictures(3, 48, 3, seed=6)
    assert measure_icons(network, "features.9", patches).shape == (3, 256)


def test_equal_channels_are_grey_in_false_colours_and_single_ones_have_hues():
    equal = np.full((1, 2, 2, 5), 90, np.uint8)
    assert (false_colours(equal) == 90).all()
    one = np.zeros((1, 2, 2, 5), np.uint8)
    one[..., 0] = 255
    red, green, blue = false_colours(one)[0, 0, 0].astype(int)
    assert red > green + 40 and red > blue + 40


def test_colours_of_another_number_of_channels_are_refused_in_one_sentence():
    network = _own(5, 64)
    vectors = np.random.default_rng(0).random((2, 16), np.float32)
    with pytest.raises(UsageError, match=r"takes 5 channels, but the colours of the photos have 3"):
        invert(network, "2", vectors, vectors.mean(axis=0), _colour(3), SETTINGS, np.arange(2))


def test_a_layer_with_a_map_of_one_position_and_dead_channels_is_painted():
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 8, 8, stride=8), nn.Conv2d(8, 12, 4, stride=4)
    module = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten())
    with torch.no_grad():
        second.weight[:6] = 0
        second.bias[:6] = -1  # never answer
    network = Network(module, Preprocessing((32, 32), 32, mean=(0.5,) * 3, std=(0.5,) * 3))
    patches = _pictures(12, 32, 3, seed=5)
    vectors = measure_icons(network, "3", patches)
    mean = vectors.mean(axis=0)
    learnt = learn_expectation(network, "3", vectors, patches, np.arange(12), mean, _colour(3), SETTINGS)
    pictures = invert(network, "3", vectors[:3], mean, _colour(3), SETTINGS, np.arange(3), learnt)
    cosines = measure(network, "3", pictures, vectors[:3], np.arange(3), mean).cosine
    assert np.isfinite(cosines).all() and cosines.mean() > 0.3
