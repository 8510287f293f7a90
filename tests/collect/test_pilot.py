"""What the pilot measures, against networks of which the answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from actatlas.collect import CollectSettings, run_pilot
from actatlas.collect.agreement import attributions_agree, correlations
from actatlas.collect.pilot import _patch_px, _window
from actatlas.images import open_source
from actatlas.networks import load_network
from actatlas.preprocessing import Preprocessing
from actatlas.progress import Silent

PREPROCESSING = Preprocessing(input_px=(64, 64), resize_px=64)
# Four 3 × 3 convolutions of stride 2: layer → receptive field 3, 7, 15, 31, and its padding puts it (stride − 1) / 2 px
# off the centre of the map's cell, around which a patch is cut.
FIELDS = {"0": 3 + 1, "2": 7 + 3, "4": 15 + 7, "6": 31 + 15}


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(1)
    parts = []
    for before, after in ((3, 8), (8, 12), (12, 16), (16, 16)):
        parts += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
    module = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
    return load_network(module, preprocessing=PREPROCESSING)


@pytest.fixture(scope="module")
def pilot(tower, drawn_photos):
    settings = CollectSettings(precision="float32")
    return run_pilot(tower, open_source(drawn_photos), [*FIELDS, "9"], settings, Silent())


def test_patches_lie_within_the_receptive_field_and_grow_with_depth(pilot):
    sides = [pilot.patch_px[layer] for layer in FIELDS]
    assert all(1 < side <= field for side, field in zip(sides, FIELDS.values(), strict=True))
    assert sides == sorted(set(sides)) and sides[-1] > 3 * sides[0]
    assert pilot.patch_px["9"] == 64, "a vector answers to the whole input"


def test_windows_are_the_patches_in_positions(pilot):
    for layer, stride in zip(FIELDS, (2, 4, 8, 16), strict=True):
        window = pilot.windows[layer]
        assert window % 2 == 1 and window >= 3
        assert window == 3 or abs(window * stride - pilot.patch_px[layer]) <= stride
    assert _window(176, (7, 7), (224, 224)) == 5 and _window(28, (14, 14), (224, 224)) == 3
    assert _window(80, (7, 14), (112, 224)) == 5, "the larger stride counts"


def test_the_patch_is_the_smallest_centred_square_with_nine_tenths():
    energy = np.zeros((64, 64))
    energy[24:40, 24:40] = 1.0  # 16 × 16 around the centre of a map of odd size
    assert _patch_px(energy, (7, 7)) == 16, "its middle 14 × 14 hold 77%"
    energy[20:44, 20:44] += 0.01
    assert _patch_px(energy, (7, 7)) == 16
    energy[0, 0] = 300.0
    assert _patch_px(energy, (7, 7)) == 64


def test_baselines_are_the_mean_over_inner_positions(tower, pilot, drawn_photos):
    source = open_source(drawn_photos)
    pixels = torch.stack([tower.pixels(source.read(record.id)) for record in source.records])
    with torch.no_grad():
        maps = tower.activations(tower.normalize(pixels), ["2"])["2"]
    assert pilot.map_sizes["2"] == tuple(maps.shape[2:]) == (16, 16)
    inner = maps[:, :, 1:-1, 1:-1].mean(dim=(0, 2, 3)).numpy()
    assert pilot.baselines["2"].dtype == np.float32 and np.allclose(pilot.baselines["2"], inner, atol=1e-3)
    assert not np.allclose(pilot.baselines["2"], maps.mean(dim=(0, 2, 3)).numpy(), atol=1e-3), "the control: with edges"


def test_colour_is_that_of_the_photos(pilot, tower, drawn_photos):
    source = open_source(drawn_photos)
    values = np.concatenate([tower.pixels(source.read(r.id)).numpy().reshape(3, -1) for r in source.records], axis=1)
    assert np.allclose(pilot.colour.mean, values.mean(axis=1), atol=1e-3)
    assert np.allclose(pilot.colour.covariance, np.cov(values), atol=1e-3)


def test_the_pilot_is_the_same_each_time_and_float32_where_asked(tower, pilot, drawn_photos):
    again = run_pilot(tower, open_source(drawn_photos), [*FIELDS, "9"], CollectSettings(precision="float32"), Silent())
    assert again.patch_px == pilot.patch_px and again.precision == "float32"
    assert all(np.array_equal(again.baselines[layer], pilot.baselines[layer]) for layer in pilot.baselines)


class Cancels(nn.Module):
    """Small effects on large logits: bfloat16 keeps the layer, not the effects."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU())
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x).mean(dim=(2, 3))) + 100.0


def test_a_precision_that_spoils_attributions_is_found_out(drawn_photos):
    torch.manual_seed(0)
    network = load_network(Cancels(), preprocessing=PREPROCESSING)
    source = open_source(drawn_photos)
    settings = CollectSettings(precision="bfloat16")
    pilot = run_pilot(network, source, ["layer"], settings, Silent())
    assert pilot.precision == "bfloat16", "what the user names is kept"
    pixels = torch.stack([network.pixels(source.read(i)) for i in range(8)])
    positions = np.full((8, 2), 0.55, np.float32)
    assert not attributions_agree(network, pilot, pixels, positions, "mean-replacement")
    exact = replace(pilot, precision="float32")
    assert attributions_agree(network, exact, pixels, positions, "mean-replacement"), "the control"


def test_correlations_are_pearsons():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 5, 40))
    assert np.allclose(correlations(one, other), [np.corrcoef(a, b)[0, 1] for a, b in zip(one, other, strict=True)])
    assert np.allclose(correlations(one, 3 * one + 2), 1)
    assert np.array_equal(correlations(np.ones((1, 4)), np.ones((1, 4))), [1.0])
    assert np.array_equal(correlations(np.ones((1, 4)), rng.normal(size=(1, 4))), [0.0])
