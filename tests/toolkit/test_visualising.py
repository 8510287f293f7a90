"""What channels, neurons, directions and classes answer to."""

import numpy as np
import pytest
import torch
from PIL import Image

import actatlas
from actatlas.errors import LayerNotFound, NetworkError, UnknownClass, UsageError

LAYER = "blocks.9.expanded"


@pytest.fixture(scope="module")
def two_channels(atlas_studio):
    """The channels that the atlas's photos move most, of those that they do not drive to the end of a ReLU6."""
    vectors = atlas_studio.atlas.layer(LAYER).activations.vectors.astype(np.float32)
    spread = np.where(vectors.max(axis=0) < 5, vectors.std(axis=0), 0)
    first, second = np.argsort(-spread)[:2].tolist()
    return [actatlas.toolkit.channel(atlas_studio, LAYER, channel, count=2) for channel in (first, second)]


def test_a_channel_answers_more_to_its_own_pictures_than_to_any_photo_and_to_another_channels(two_channels, network):
    for own, other in (two_channels, two_channels[::-1]):
        channel = int(own.title.split()[1])
        elsewhere = actatlas.measure_icons(network, LAYER, other.pictures)[:, channel]
        assert own.answers.min() > own.scale.percentiles[99]
        assert own.answers.min() > elsewhere.max() + 1
        assert own.answers == pytest.approx(actatlas.measure_icons(network, LAYER, own.pictures)[:, channel], abs=1e-4)
        assert (own.shares > 0.99).all()


def test_a_channels_pictures_are_not_one_picture_twice(two_channels):
    for found in two_channels:
        assert found.cosines[0, 1] < 0.97
        assert np.diag(found.cosines) == pytest.approx(1, abs=1e-4)
        different = np.abs(found.pictures[0].astype(float) - found.pictures[1]).mean()
        assert different > 8, "of 255 levels"


def test_the_patches_of_a_channel_are_the_strongest_real_ones_one_a_photo(two_channels, atlas_studio):
    layer = atlas_studio.atlas.layer(LAYER)
    for found in two_channels:
        values = layer.activations.vectors[:, int(found.title.split()[1])].astype(np.float32)
        best = [values[layer.activations.image_ids == i].max() for i in np.unique(layer.activations.image_ids)]
        assert found.patch_answers == pytest.approx(sorted(best, reverse=True)[: len(found.patches)])
        assert len(set(found.patch_ids.tolist())) == len(found.patches) == 12
        assert {patch.size for patch in found.patches} == {(layer.patch_px,) * 2}
        assert found.scale.mean == pytest.approx(float(values.mean()), abs=1e-3)


def test_the_least_of_a_channel_that_is_not_rectified_is_below_its_photos(photo_studio):
    found = actatlas.toolkit.channel(photo_studio, "blocks.9.project_norm", 3, count=1, negative=True)
    assert found.is_negative and found.answers[0] < found.scale.lowest
    assert (np.diff(found.patch_answers) >= 0).all() and found.shares[0] == 1
    assert not found.is_silence and not any("silent" in line for line in found.leaf().lines)


def test_the_least_of_a_channel_after_a_relu_is_said_to_be_silence(photo_studio):
    found = actatlas.toolkit.channel(photo_studio, LAYER, 5, count=1, negative=True)
    assert found.is_silence and found.scale.lowest == 0 and found.answers.min() >= 0
    assert (found.patch_answers == 0).all(), "the control: silent photos are what it is of"
    assert 0 < found.scale.silent < 1
    told = found.leaf().lines[-1]
    assert "below zero at none" in told and f"{found.scale.silent:.0%} of them" in told
    most = actatlas.toolkit.channel(photo_studio, LAYER, 5, count=1)
    assert not most.is_silence and "silent" not in " ".join(most.leaf().lines)


def test_a_neuron_answers_at_its_own_position(photo_studio, network):
    found = actatlas.toolkit.neuron(photo_studio, "blocks.9.expanded", 5, (0, 13), count=1)
    pixels = torch.from_numpy(found.pictures).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        maps = network.activations(network.normalize(pixels), ["blocks.9.expanded"])["blocks.9.expanded"]
    assert found.pictures.shape[1:] == (224, 224, 3)
    assert found.answers[0] == pytest.approx(float(maps[0, 5, 0, 13]), abs=1e-4)
    assert found.answers[0] > found.scale.percentiles[99] and found.answers[0] > float(maps[0, 5].mean()) + 1
    left, top, right, bottom = found.box
    assert top == 0 and right == 224 and found.images[0].size == (right - left, bottom - top)


def test_a_direction_is_painted_and_its_opposite_is_something_else(atlas_studio, network):
    grid = atlas_studio.atlas.layer(LAYER).grid(4)
    vector = grid.means[0] - grid.layer.mean
    along, against = (
        actatlas.toolkit.direction(atlas_studio, LAYER, sign * vector, title="a cell", count=1) for sign in (1, -1)
    )
    unit = vector / np.linalg.norm(vector)
    answered = actatlas.measure_icons(network, LAYER, along.pictures) - grid.layer.mean
    assert along.answers[0] == pytest.approx(float(answered[0] @ unit), rel=1e-3)
    assert along.answers[0] > along.scale.percentiles[90]
    opposite = actatlas.measure_icons(network, LAYER, against.pictures) - grid.layer.mean
    assert float(opposite[0] @ unit) < 0 < along.answers[0]


def test_a_picture_of_a_class_is_taken_for_it_as_a_grey_picture_is_not(photo_studio):
    found = actatlas.toolkit.class_picture(photo_studio, "jeep", count=1)
    assert "jeep" in [label for label, _ in found.top[0]] and found.title == "jeep"
    assert found.answers[0] > found.scale.highest
    network = photo_studio.network
    grey = network.logits(network.normalize(network.pixels(Image.new("RGB", (224, 224), (128, 128, 128)))[None]))
    assert network.labels.index("jeep") not in grey[0].topk(50).indices.tolist()


def test_the_same_seed_gives_the_same_picture(atlas_studio, network):
    again = actatlas.toolkit.Studio(atlas_studio.atlas)
    one, other = (actatlas.toolkit.channel(studio, LAYER, 7, count=1) for studio in (atlas_studio, again))
    assert np.array_equal(one.pictures, other.pictures)


def test_what_cannot_be_painted_is_said_in_a_sentence(photo_studio, atlas_studio):
    tk = actatlas.toolkit
    with pytest.raises(UsageError, match=r"blocks.9.expanded has channels 0 to 671, not 672"):
        tk.channel(atlas_studio, LAYER, 672)
    with pytest.raises(LayerNotFound, match="block.9.expanded"):
        tk.channel(photo_studio, "block.9.expanded", 0)
    with pytest.raises(UsageError, match=r"positions 0,0 to 13,13 \(row,column\), not 14,0"):
        tk.neuron(photo_studio, LAYER, 0, (14, 0))
    with pytest.raises(UsageError, match="is 672 finite numbers, not all zero; this one has 12"):
        tk.direction(atlas_studio, LAYER, np.ones(12))
    with pytest.raises(UsageError, match="all zero or not finite"):
        tk.direction(atlas_studio, LAYER, np.zeros(672))
    with pytest.raises(UnknownClass, match="no class is called"):
        tk.class_picture(photo_studio, "no such thing at all")
    with pytest.raises(UsageError, match="ask for 1 to 16"):
        tk.channel(photo_studio, LAYER, 0, count=17)


def test_a_network_without_logits_has_no_class_to_paint():
    body = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.ReLU())
    network = actatlas.load_network(body, preprocessing=actatlas.Preprocessing((32, 32), 32))
    with pytest.raises(NetworkError, match="no logits"):
        actatlas.toolkit.class_picture(network, 0)
