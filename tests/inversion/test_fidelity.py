"""The figures of an icon, by their definitions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from actatlas import Preprocessing
from actatlas.errors import UsageError
from actatlas.inversion import measure, measure_icons
from actatlas.inversion.fidelity import centre, cosines_to_targets, paired_cosines, ranks
from actatlas.networks import Network

LAYER = "blocks.3.expanded"


@pytest.fixture(scope="module")
def icons() -> np.ndarray:
    """(3, 80, 80, 3) uint8: smooth random pictures."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (3, 7, 7, 3), np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(picture).resize((80, 80), Image.Resampling.BICUBIC)) for picture in small]
    )


def test_the_cosine_of_a_vector_with_itself_is_1_and_ignores_scale():
    vectors = np.random.default_rng(0).normal(size=(4, 9))
    mean = np.random.default_rng(1).normal(size=9)
    scaled = mean + 37.0 * (vectors - mean)
    assert paired_cosines(vectors, scaled, mean) == pytest.approx(np.ones(4))
    assert paired_cosines(vectors, mean - (vectors - mean), mean) == pytest.approx(-np.ones(4))
    assert paired_cosines(vectors[:1], mean[None], mean) == pytest.approx([0.0])


def test_a_rank_counts_the_targets_with_a_higher_cosine():
    targets = np.array([[1.0, 0], [0, 1.0], [1.0, 1.0]])
    answers = np.array([[1.0, 0.1], [1.0, 0.9], [0.1, 1.0]])
    cosines = cosines_to_targets(answers, targets, np.zeros(2))
    assert ranks(cosines, np.array([0, 0, 0])).tolist() == [0, 1, 2]
    assert ranks(cosines, np.array([0, 2, 1])).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("size", "rows"), [(5, [2]), (4, [1, 2]), (2, [0, 1]), (1, [0])])
def test_the_centre_is_the_central_position_or_the_mean_of_the_central_ones(size: int, rows: list[int]):
    answers = torch.arange(size * 7.0).reshape(1, size, 7, 1)
    assert centre(answers).item() == answers[0, rows, 3, 0].mean().item()


def test_icons_are_measured_as_their_own_uint8_pixels_fed_alone(network: Network, icons: np.ndarray):
    answers = measure_icons(network, SimpleNamespace(name=LAYER), icons)
    outputs = []
    hook = network.module.get_submodule(LAYER).register_forward_hook(lambda _m, _i, output: outputs.append(output))
    with torch.no_grad():
        for icon in icons:
            network.module(network.normalize(_pixels(icon)))
    hook.remove()
    expected = np.stack([output[0, :, 9:11, 9:11].mean(dim=(1, 2)).numpy() for output in outputs])
    assert answers.dtype == np.float32
    assert np.abs(answers - expected).max() < 1e-3 * np.abs(expected).max()


def _pixels(icon: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(icon.copy()).permute(2, 0, 1)[None].float() / 255


def test_a_picture_measured_against_its_own_answer_has_cosine_1_and_less_when_it_is_shifted(
    network: Network, icons: np.ndarray
):
    answers = measure_icons(network, LAYER, icons)
    mean = answers.mean(axis=0) + 0.01
    measured = measure(network, LAYER, icons, answers, np.array([0, 1, 0]), mean)
    assert measured.cosine[:2] == pytest.approx(np.ones(2), abs=1e-5)
    assert measured.rank.tolist()[:2] == [0, 0] and measured.rank[2] >= 1
    assert (measured.shifted_cosine[:2] < 0.999).all()
    flat = np.full((1, 80, 80, 3), 90, np.uint8)
    answer = measure_icons(network, LAYER, flat)
    steady = measure(network, LAYER, flat, answer, np.array([0]), np.zeros_like(answer[0]))
    assert steady.shifted_cosine == pytest.approx([1.0], abs=1e-5)


def test_a_network_with_one_channel_sees_an_icons_brightness():
    module = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
    network = Network(module, Preprocessing((16, 16), 16, mean=(0.0,), std=(1.0,), channel_count=1))
    icon = np.full((1, 16, 16, 3), (255, 0, 0), np.uint8)
    assert measure_icons(network, "0", icon) == pytest.approx(np.array([[0.299, -0.299]]), abs=1e-5)


def test_what_is_no_icon_is_refused(network: Network):
    with pytest.raises(UsageError, match="uint8"):
        measure_icons(network, LAYER, np.zeros((1, 80, 80, 3), np.float32))
