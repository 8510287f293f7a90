"""Lucid's InceptionV1: its names, its keys, its padding, its normalisation and its order of classes."""

import logging
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from actatlas.errors import BadWeights, UnknownNetwork
from actatlas.networks import load_network
from actatlas.networks.imagenet import imagenet_labels
from actatlas.networks.inception_v1 import MIXED, InceptionV1

# As Lucid's catalogue of the graph gives them.
CHANNELS = {
    "conv2d0": 64, "conv2d1": 64, "conv2d2": 192, "mixed3a": 256, "mixed3b": 480, "mixed4a": 508, "mixed4b": 512,
    "mixed4c": 512, "mixed4d": 528, "mixed4e": 832, "mixed5a": 832, "mixed5b": 1024,
}  # fmt: skip
SIDES = {"conv2d0": 112, "conv2d1": 56, "conv2d2": 56, "mixed3b": 28, "mixed4a": 14, "mixed5b": 7}


@pytest.fixture(scope="module")
def inception():
    return load_network("lucid:inceptionv1")


def test_layers_have_lucids_names_and_sizes(inception):
    layers = {layer.name: layer for layer in inception.layers}
    assert {name: layers[name].shape[0] for name in CHANNELS} == CHANNELS
    assert {name: layers[name].shape[1] for name in SIDES} == SIDES
    for branch in ("1x1", "3x3_bottleneck", "3x3", "5x5_bottleneck", "5x5", "pool", "pool_reduce"):
        assert f"mixed4c_{branch}" in layers
    assert all(mixed.outgoing == CHANNELS[name] for name, mixed in MIXED.items())
    assert [layer.name for layer in inception.layers if layer.recommended] == [
        "mixed3b", "mixed4a", "mixed4c", "mixed4d", "mixed5a", "mixed5b",
    ]  # fmt: skip


def test_a_mixed_layer_is_its_branches_after_their_non_linearity(inception):
    branches = [f"mixed4a_{branch}" for branch in ("1x1", "3x3", "5x5", "pool_reduce")]
    inputs = inception.normalize(torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1)))
    maps = inception.activations(inputs, [*branches, "mixed4a"])
    assert torch.equal(torch.cat([maps[name] for name in branches], dim=1), maps["mixed4a"])
    assert (maps["mixed4a"] >= 0).all() and (maps["mixed4a"] > 0).any()


def test_its_input_is_0_to_255_less_117(inception):
    white = inception.pixels(Image.new("RGB", (300, 260), "white"))
    red = inception.pixels(Image.new("RGB", (300, 260), (255, 0, 0)))
    assert torch.allclose(inception.normalize(white[None]), torch.tensor(138.0))
    assert torch.allclose(inception.normalize(red[None])[0, :, 0, 0], torch.tensor([138.0, -117.0, -117.0]))


def test_logits_are_1008_before_the_softmax_in_the_order_of_the_2012_challenge(inception):
    assert inception.class_count == len(inception.labels) == 1008
    known = {
        1: "kit fox", 2: "English setter", 3: "Siberian husky", 6: "grey whale", 442: "great white shark", 449: "tench",
        450: "goldfish", 808: "face powder", 1000: "dumbbell",
    }  # fmt: skip
    assert {index: inception.labels[index] for index in known} == known
    assert sorted(inception.labels[1:1001]) == sorted(imagenet_labels())
    assert [name for name in inception.labels if name.startswith("unused")] == [
        f"unused {index}" for index in (0, *range(1001, 1008))
    ]
    logits = inception.logits(torch.rand(1, 3, 224, 224) * 255 - 117)
    assert abs(float(logits.sum()) - 1) > 1e-3 or (logits < 0).any()  # no probabilities


def test_normalisation_is_tensorflows(inception):
    x = torch.rand(1, 64, 2, 2) * 200
    expected = torch.empty_like(x)
    for channel in range(64):
        near = x[:, max(channel - 5, 0) : channel + 6]
        expected[:, channel] = x[:, channel] / (2.0 + 1e-4 * (near**2).sum(dim=1)) ** 0.5
    assert torch.allclose(inception.module.localresponsenorm0(x), expected, rtol=1e-5)


@pytest.mark.parametrize("side", [80, 97, 224])
def test_padding_is_tensorflows_at_every_size(inception, side):
    module = inception.module
    x = torch.rand(1, 3, side, side)
    total = (math.ceil(side / 2) - 1) * 2 + 7 - side
    assert total in (5, 6)
    padded = F.pad(x, (total // 2, total - total // 2) * 2)
    plain = F.conv2d(padded, module.conv2d0_pre_relu_conv.weight, module.conv2d0_pre_relu_conv.bias, stride=2)
    assert torch.allclose(module.conv2d0_pre_relu_conv(x), plain, atol=1e-5)
    assert module.maxpool0(plain.relu()).shape[2] == math.ceil(plain.shape[2] / 2)


def published(seed: int = 4) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {key: torch.randn_like(value) * 0.02 for key, value in InceptionV1().state_dict().items()}


def test_the_published_state_dict_is_loaded_by_its_own_keys(tmp_path):
    state = published()
    assert {"mixed3a_1x1_pre_relu_conv.weight", "softmax2_pre_activation_matmul.bias"} <= set(state)
    assert len(state) == 2 * (3 + 9 * 6 + 1)
    torch.save(state, tmp_path / "inception5h.pth")
    network = load_network(f"lucid:inceptionv1?checkpoint={tmp_path}/inception5h.pth")
    assert torch.equal(network.module.mixed5b_5x5_pre_relu_conv.weight, state["mixed5b_5x5_pre_relu_conv.weight"])
    other = published(5)
    torch.save({"state_dict": {f"module.{k}": v for k, v in other.items()}}, tmp_path / "other.pth")
    second = load_network(f"lucid:inceptionv1?checkpoint={tmp_path}/other.pth")
    assert second.weights_sha256 != network.weights_sha256


def test_keys_of_another_inception_are_refused(tmp_path):
    state = published()
    state["Mixed_3a.weight"] = state.pop("mixed3a_1x1_pre_relu_conv.weight")
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(BadWeights, match=r"lacks mixed3a_1x1_pre_relu_conv\.weight and it has Mixed_3a\.weight"):
        load_network(f"lucid:inceptionv1?checkpoint={tmp_path}/wrong.pth")
    with pytest.raises(UnknownNetwork, match="lucid:inceptionv1"):
        load_network("lucid:resnet50")


def test_without_a_file_it_is_untrained_and_says_so(caplog, inception):
    with caplog.at_level(logging.WARNING, logger="actatlas"):
        again = load_network("lucid:inceptionv1")
    assert again.weights_sha256 == inception.weights_sha256
    assert "lucid:inceptionv1: its weights are random" in caplog.text


@pytest.mark.parametrize("smooth", [False, True])
def test_derivatives_pass_its_pools_and_its_normalisation(inception, smooth):
    inputs = inception.normalize(torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(2)))
    recording = inception.record(inputs, ["mixed3b"])
    slope = recording.derivative("mixed3b", torch.rand_like(recording.maps["mixed3b"]), smooth)
    assert torch.isfinite(slope).all() and np.abs(slope.numpy()).max() > 0


def test_half_precision_passes_its_normalisation(inception):
    x = torch.rand(1, 64, 4, 4) * 200
    half = inception.module.localresponsenorm0(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), inception.module.localresponsenorm0(x), rtol=0.02)
