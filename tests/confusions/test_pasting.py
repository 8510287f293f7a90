"""Patches go where they are said to go, and the figures of a proof are what they are called."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from actatlas.atlas import ClassNames
from actatlas.confusions.pasting import CORNERS, as_pixels, margins, pasted, shrunk, side_px
from actatlas.confusions.photos import truths_by_columns
from actatlas.confusions.proving import _divided, noise, wilson
from actatlas.confusions.related import related_classes
from actatlas.networks import Network
from actatlas.preprocessing import Preprocessing


def small_network(classes: int = 40, channels: int = 3) -> Network:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)
    )
    values = (0.0,) * channels, (1.0,) * channels
    return Network(module, Preprocessing((32, 32), 32, mean=values[0], std=values[1], channel_count=channels))


@pytest.mark.parametrize("corner", CORNERS)
def test_a_patch_touches_its_corner_and_nothing_else_changes(corner):
    photo, patch = torch.zeros(2, 3, 20, 30), torch.ones(3, 5, 8)
    changed = pasted(photo, patch, corner)
    rows = slice(0, 5) if corner.startswith("top") else slice(15, 20)
    columns = slice(0, 8) if corner.endswith("left") else slice(22, 30)
    assert (changed[:, :, rows, columns] == 1).all() and changed.sum() == 2 * 3 * 5 * 8
    assert photo.sum() == 0


def test_a_share_of_the_side_is_never_exceeded():
    assert side_px(0.4, (224, 224)) == 89 and side_px(0.4, (224, 300)) == 89
    assert side_px(0.5, (32, 32)) == 16 and side_px(0.001, (32, 32)) == 1


def test_a_patch_keeps_its_aspect_whether_it_shrinks_or_grows():
    assert shrunk(Image.new("RGB", (400, 100)), 80).size == (80, 20)
    assert shrunk(Image.new("L", (10, 20)), 80).size == (40, 80)


def test_a_patch_for_a_grey_network_is_grey():
    pixels = as_pixels(Image.new("RGB", (4, 4), (255, 0, 0)), small_network(channels=1))
    assert pixels.shape == (1, 4, 4) and float(pixels[0, 0, 0]) == pytest.approx(76 / 255, abs=0.01)


def test_a_margin_is_above_zero_exactly_where_the_target_comes_first():
    logits = torch.randn(200, 12, generator=torch.Generator().manual_seed(1))
    targets = torch.arange(200) % 12
    margin = margins(logits, targets)
    assert ((margin > 0) == (logits.argmax(dim=1) == targets)).all()
    assert torch.equal(margins(logits, torch.tensor(3)), margins(logits, torch.full((200,), 3)))
    assert float(margins(torch.tensor([[1.0, 4.0, 2.5]]), torch.tensor(1))) == 1.5


@pytest.mark.parametrize(
    ("turned", "count", "low", "high"), [(0, 25, 0.0, 0.1332), (5, 25, 0.0886, 0.3913), (50, 100, 0.4038, 0.5962)]
)
def test_the_interval_is_wilsons(turned, count, low, high):
    assert wilson(turned, count) == (pytest.approx(low, abs=2e-4), pytest.approx(high, abs=2e-4))


def test_photos_that_the_search_has_used_never_score():
    names = [f"{i:03d}" for i in range(50)]
    choosing, scoring = _divided(names, set(names[::2]), seed=0)
    assert choosing == list(range(0, 50, 2)) and scoring == list(range(1, 50, 2))
    assert _divided(names[:6], set(names), seed=0) == (list(range(6)), [])
    used = set(names[10:18])
    choosing, scoring = _divided(names, used, seed=0)
    assert not used & {names[i] for i in scoring} and sorted(choosing + scoring) == list(range(50))
    choosing, scoring = _divided(names, set(), seed=0)
    assert len(choosing) == len(scoring) == 25 and 0.35 < np.mean([i % 2 for i in choosing]) < 0.65


def test_noise_is_the_same_for_a_seed_and_has_no_pattern():
    one, again, other = noise(1)(40), noise(1)(40), noise(2)(40)
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    values = np.asarray(one, float)
    assert abs(np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]) < 0.05


def test_related_classes_are_those_whose_weights_are_alike():
    network = small_network(classes=200)
    head = network.module[-1]
    with torch.no_grad():
        head.weight[7] = head.weight[3] + 0.01
    related = related_classes(network, np.zeros((5, 200), np.float32))
    assert related[3, 7] and related[7, 3] and related.diagonal().all() and (related == related.T).all()
    assert (related.sum(axis=1) >= 21).all()


def test_with_few_classes_a_tenth_of_them_is_related_and_not_all():
    assert related_classes(small_network(classes=10), np.zeros((5, 10), np.float32)).sum(axis=1).max() < 10


def test_without_a_classifier_classes_are_related_by_their_logits():
    module = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    network = Network(module, Preprocessing((8, 8), 8))
    logits = np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)
    logits[:, 5] = 2 * logits[:, 2] + 1
    related = related_classes(network, logits)
    assert related[2, 5] and related[5, 2]


def test_labels_count_where_they_are_names_of_classes():
    names = ClassNames(["tench", "crane", "crane", "red fox"], [["n1"], ["n2"], ["n3"], ["n4"]])
    both = {0: {"label": "Tench"}, 1: {"label": "crane"}, 2: {"label": "red_fox", "source": "x"}, 3: {"label": ""}}
    assert truths_by_columns(both, names) == {0: (0,), 1: (1, 2), 2: (3,)}
    by_id = {i: row | {"wnid": "n3"} for i, row in both.items() if i == 1}
    assert truths_by_columns(by_id, names)[1] == (2,)
    assert truths_by_columns({0: {"label": "indoor"}, 1: {"label": "outdoor"}, 2: {"label": "tench"}}, names) == {}
