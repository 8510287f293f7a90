"""Attributions of some activations are those that collecting them all gives, for every method and form of layer."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from actatlas.collect import Attributor, Collector, CollectSettings, run_pilot
from actatlas.errors import UnreadableImage
from actatlas.images import open_source
from actatlas.networks import load_network
from actatlas.preprocessing import Preprocessing
from actatlas.progress import Silent
from actatlas.values import ATTRIBUTION_METHODS, ActivationSet

LAYERS = ["early", "late", "mixed", "vector"]
PREPROCESSING = Preprocessing(input_px=(48, 48), resize_px=56, mean=(0.5,) * 3, std=(0.5,) * 3)


class Forms(nn.Module):
    """Maps of 24 × 24 and of 6 × 6, behind a max-pooling; tokens; a vector; seven classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.early = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.body = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.late = nn.ReLU()
        self.mixed = nn.Linear(16, 12)
        self.vector = nn.Linear(12, 10)
        self.head = nn.Linear(10, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.late(self.body(self.pool(self.early(self.stem(x)))))
        tokens = self.mixed(maps.flatten(2).transpose(1, 2)).relu()
        return self.head(self.vector(tokens.mean(dim=1)).relu())


@pytest.fixture(scope="module")
def forms():
    torch.manual_seed(0)
    return load_network(Forms(), preprocessing=PREPROCESSING)


@pytest.fixture
def folder(drawn_photos, tmp_path) -> Path:
    return Path(shutil.copytree(drawn_photos, tmp_path / "photos"))


def settings(**changes) -> CollectSettings:
    return CollectSettings(**({"positions": 3, "shard_images": 5, "batch_size": 4, "precision": "float32"} | changes))


def collected(network, folder, wanted):
    """The pilot, the activations of each layer, and their places."""
    source = open_source(folder)
    pilot = run_pilot(network, source, LAYERS, wanted, Silent())
    shards = [shard for _, shard in Collector(network, source, LAYERS, wanted, pilot).shards()]
    whole = {layer: ActivationSet.joined([shard.activations[layer] for shard in shards]) for layer in LAYERS}
    return pilot, whole


def some_rows(whole, share=0.3):
    """Others in each layer; none of some inputs, all of others."""
    random = np.random.default_rng(0)
    return {layer: np.sort(random.permutation(len(part))[: int(len(part) * share)]) for layer, part in whole.items()}


def attribute(network, folder, wanted, pilot, rows, places):
    attributor = Attributor(network, open_source(folder), LAYERS, wanted, pilot)
    return list(attributor.units(rows, places))


@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
@pytest.mark.parametrize("crops", [0, 3])
def test_they_are_those_that_collecting_everything_gives(forms, folder, method, crops):
    (folder / "03.png").write_bytes(b"")  # and rows are still counted as they were collected
    wanted = settings(attribution=method, crops=crops)
    pilot, whole = collected(forms, folder, wanted)
    rows = some_rows(whole)
    units = attribute(forms, folder, wanted, pilot, rows, whole["early"])
    assert len(units) > 3
    for layer in LAYERS:
        found = np.concatenate([unit[layer].rows for unit in units])
        assert np.array_equal(found, rows[layer]), "ascending, each once"
        values = np.concatenate([unit[layer].attributions for unit in units])
        expected = whole[layer].attributions
        scale = np.abs(expected).max()
        assert values.dtype == np.float16 and np.allclose(values, expected[found], atol=2e-3 * scale)
        elsewhere = np.abs(values.astype(float) - expected[np.roll(found, 1)]).max()
        assert elsewhere > 0.1 * scale, "the control: other rows differ"
        assert all(len(unit[layer].failed) == 0 for unit in units)


def test_a_unit_has_so_many_photos_and_those_that_are_left_give_the_same_bits(forms, folder):
    wanted = settings(crops=2)
    pilot, whole = collected(forms, folder, wanted)
    rows, ids = some_rows(whole), whole["early"].image_ids
    units = attribute(forms, folder, wanted, pilot, rows, whole["early"])
    for unit in units[:-1]:
        assert len({int(ids[row]) for layer in LAYERS for row in unit[layer].rows}) == 5
    left = {layer: np.setdiff1d(rows[layer], np.concatenate([u[layer].rows for u in units[:2]])) for layer in LAYERS}
    for again, unit in zip(attribute(forms, folder, wanted, pilot, left, whole["early"]), units[2:], strict=True):
        for layer in LAYERS:
            assert np.array_equal(again[layer].rows, unit[layer].rows)
            assert np.array_equal(again[layer].attributions, unit[layer].attributions)


def test_what_is_run_is_told_and_nothing_else_is_run(forms, folder):
    wanted = settings(crops=3)
    pilot, whole = collected(forms, folder, wanted)
    rows = {layer: np.array([4, 5, 40]) for layer in LAYERS}
    attributor, told = Attributor(forms, open_source(folder), LAYERS, wanted, pilot), []
    units = list(attributor.units(rows, whole["early"], told.append))
    assert attributor.inputs(rows).tolist() == [1, 13] and told == [2] and len(units) == 1
    nothing = {layer: np.empty(0, np.int64) for layer in LAYERS}
    assert len(attributor.inputs(nothing)) == 0 and list(attributor.units(nothing, whole["early"])) == []


def test_a_photo_that_is_gone_is_named_in_one_sentence(forms, folder):
    wanted = settings()
    pilot, whole = collected(forms, folder, wanted)
    path = Path(open_source(folder).records[int(whole["early"].image_ids[30])].path)
    source = open_source(folder)
    path.unlink()
    attributor = Attributor(forms, source, LAYERS, wanted, pilot)
    with pytest.raises(UnreadableImage, match=rf"{path.name} cannot be read again .* run the same command"):
        list(attributor.units(some_rows(whole, 1.0), whole["early"]))


def test_attributions_that_are_not_finite_are_told_apart(forms, folder):
    wanted = settings()
    pilot, whole = collected(forms, folder, wanted)
    baseline = np.full(16, np.inf, np.float32)
    broken = replace(pilot, baselines=pilot.baselines | {"late": baseline})
    units = attribute(forms, folder, wanted, broken, some_rows(whole), whole["early"])
    assert sum(len(unit["late"].failed) for unit in units) == len(some_rows(whole)["late"])
    assert all(unit["late"].attributions.shape == (0, 7) for unit in units)
    assert sum(len(unit["early"].rows) for unit in units) == len(some_rows(whole)["early"]), "the control"
