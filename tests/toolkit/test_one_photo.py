"""What one photo is to a layer, and what in it speaks for a class."""

import numpy as np
import pytest
import torch
from PIL import Image

import actatlas
from actatlas.errors import UnknownClass, UnreadableImage, UsageError
from actatlas.images import open_source
from actatlas.toolkit import grids
from actatlas.toolkit.factors import factors

LAYER = "blocks.11.expanded"


@pytest.fixture(scope="module")
def dalmatian():
    record = next(r for r in open_source("packaged:demo").records if r.columns["label"] == "dalmatian")
    return record.path


@pytest.fixture(scope="module")
def places(photo_studio, dalmatian):
    return actatlas.toolkit.spatial_attribution(photo_studio, dalmatian, "blocks.15.expanded", "dalmatian")


@pytest.fixture(scope="module")
def channels(photo_studio, dalmatian):
    return actatlas.toolkit.channel_attribution(photo_studio, dalmatian, LAYER, "dalmatian", count=1)


def test_without_the_places_that_speak_for_a_class_its_logit_loses_more_than_without_random_ones(places):
    assert places.values.shape == (7, 7) and places.top[0][0] == "dalmatian"
    assert (places.removal.highest > places.removal.random + 0.2).all()


def test_without_the_channels_that_speak_for_a_class_its_logit_loses_more_than_without_random_ones(channels):
    assert (channels.removal.highest > channels.removal.random + 2).all()
    assert channels.removal.shares[0] == pytest.approx(0.05, abs=0.01)


def test_what_the_channels_contribute_adds_up_to_the_logit(channels):
    assert abs(channels.difference) > 3
    assert abs(channels.unexplained) < 0.05 * abs(channels.difference)


def test_the_channels_with_icons_are_those_that_speak_most_for_the_class_and_against_it(channels):
    assert channels.channels.tolist() == [int(np.argmax(channels.values)), int(np.argmin(channels.values))]
    assert channels.values[channels.channels[0]] > 0 > channels.values[channels.channels[1]]
    assert len(channels.icons) == len(channels.maps) == 2 and channels.maps.shape[1:] == (14, 14)
    assert channels.table().channel[0] == channels.channels[0]


def test_one_class_against_another_is_the_other_way_round_with_the_opposite_sign(photo_studio, dalmatian):
    def asked(target, versus):
        return actatlas.toolkit.spatial_attribution(
            photo_studio, dalmatian, "blocks.15.expanded", target, versus=versus
        )

    one, other = asked("dalmatian", "Great Dane"), asked("Great Dane", "dalmatian")
    assert one.values == pytest.approx(-other.values, abs=1e-4) and one.logit == pytest.approx(-other.logit, abs=1e-4)
    assert one.logit > 0 and one.question.title == "dalmatian rather than Great Dane"


def test_the_icons_of_a_photo_answer_like_their_own_place_more_than_like_others(photo_studio, dalmatian, monkeypatch):
    monkeypatch.setattr(grids, "MOST_ACROSS", 4)
    (layer,) = actatlas.toolkit.activation_grid(photo_studio, dalmatian, [LAYER]).layers
    assert layer.averaged == 4 and layer.shape == (4, 4) and len(layer) == 16
    network, ground = photo_studio.network, photo_studio.ground(LAYER)
    maps = network.activations(photo_studio.see(dalmatian).inputs, [LAYER])[LAYER]
    vectors = torch.nn.functional.adaptive_avg_pool2d(maps, (4, 4))[0].flatten(1).T.numpy()
    centred = vectors - ground.mean
    assert layer.magnitudes == pytest.approx(np.linalg.norm(centred, axis=1), rel=1e-3)
    answered = actatlas.measure_icons(network, LAYER, layer.icons) - ground.mean
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (answered, centred)]
    cosines = unit[0] @ unit[1].T
    assert layer.cosines == pytest.approx(np.diag(cosines), abs=1e-3)
    assert np.diag(cosines).mean() > cosines.mean() + 0.3


def test_a_fine_map_is_averaged_and_groups_are_fewer_and_cover_it(photo_studio, dalmatian):
    found = actatlas.toolkit.activation_grid(photo_studio, dalmatian, ["blocks.4.expanded"], groups=4)
    (layer,) = found.layers
    assert layer.averaged == 2 and layer.shape == (14, 14) and len(layer) == 4
    assert layer.memberships.shape == (4, 14, 14) and layer.memberships.max(axis=(1, 2)) == pytest.approx(1)
    assert layer.magnitudes.sum() == pytest.approx(1) and (np.diff(layer.magnitudes) <= 0).all()
    assert found.picture().size[0] == 1080


def test_factors_find_what_activations_are_the_sums_of():
    random = np.random.default_rng(0)
    parts = np.zeros((3, 30))
    for i in range(3):
        parts[i, 10 * i : 10 * i + 10] = random.uniform(0.5, 1, 10)
    strengths = random.uniform(0, 1, (200, 3)) * (random.random((200, 3)) < 0.4)
    vectors = strengths @ parts
    found_strengths, found = factors(vectors, 3, seed=0)
    likeness = (found @ parts.T) / np.linalg.norm(parts, axis=1)
    assert (likeness.max(axis=1) > 0.98).all() and sorted(likeness.argmax(axis=1)) == [0, 1, 2]
    assert np.linalg.norm(found_strengths @ found - vectors) < 0.05 * np.linalg.norm(vectors)
    assert (found_strengths >= 0).all() and (found >= 0).all()


def test_a_photo_may_be_a_picture_and_is_seen_as_the_network_sees_it(photo_studio, network):
    seen = photo_studio.see(Image.new("RGB", (300, 400), (200, 100, 50)))
    assert seen.picture.size == (224, 224) and tuple(seen.inputs.shape) == (1, 3, 224, 224)


def test_what_cannot_be_asked_of_a_photo_is_said_in_a_sentence(photo_studio, dalmatian, tmp_path):
    tk, broken = actatlas.toolkit, tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(UnreadableImage, match=r"the photo .*broken.jpg cannot be used"):
        tk.activation_grid(photo_studio, broken, [LAYER])
    with pytest.raises(UnreadableImage, match="no such file"):
        tk.spatial_attribution(photo_studio, tmp_path / "none.jpg", LAYER, "dalmatian")
    with pytest.raises(UnknownClass):
        tk.spatial_attribution(photo_studio, dalmatian, LAYER, "no such thing at all")
    with pytest.raises(UsageError, match="name two classes"):
        tk.channel_attribution(photo_studio, dalmatian, LAYER, "dalmatian", versus="dalmatian")
    with pytest.raises(UsageError, match="has one position"):
        tk.spatial_attribution(photo_studio, dalmatian, "pooled", "dalmatian")
    with pytest.raises(UsageError, match="25 groups cannot be"):
        tk.activation_grid(photo_studio, dalmatian, [LAYER], groups=25)
