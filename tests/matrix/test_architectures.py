"""Architectures of many kinds, weights seeded: each is collected, attributed and painted. Whole builds of each, with
figures: benchmarks/networks.py, docs/networks.md."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from actatlas.collect import Collector, CollectSettings, run_pilot
from actatlas.images import open_source
from actatlas.inversion import InversionSettings, invert, measure_icons
from actatlas.progress import Silent

ROOT = Path(__file__).resolve().parent.parent.parent


def _benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_networks", ROOT / "benchmarks" / "networks.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bench = _benchmark()
# The quickest of each family in the table.
QUICK = (
    "alexnet", "squeezenet1_1", "resnet18", "resnetv2_18", "nf_resnet26", "regnety_002", "convnext_atto",
    "mobilenetv3_small_050", "mobilenetv4_conv_small_035", "mobilevit_xxs", "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
)  # fmt: skip
SPECS = [s for s in bench.ARCHITECTURES if s.partition(":")[2].partition("?")[0].removesuffix("@none") in QUICK]


@pytest.fixture(scope="module")
def two_photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    rng = np.random.default_rng(0)
    for number in range(2):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), np.uint8))
        coarse.resize((160, 160), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return open_source(folder)


def test_the_table_has_enough_architectures_of_enough_kinds():
    assert len(bench.ARCHITECTURES) >= 40 and len(set(bench.ARCHITECTURES.values())) >= 20
    assert len(SPECS) == len(QUICK)


@pytest.mark.parametrize("spec", SPECS)
def test_an_architecture_is_collected_attributed_and_painted(spec, two_photos):
    network = bench.load(spec)
    info = bench.chosen_layer(network)
    channels, height, width = info.shape
    assert channels >= 8 and height == width >= 3 and info.form != "vectors"
    settings = CollectSettings(positions=2, precision="float32", batch_size=2)
    pilot = run_pilot(network, two_photos, [info.name], settings, Silent())
    shard = next(Collector(network, two_photos, [info.name], settings, pilot).shards([0]))[1]
    found = shard.activations[info.name]
    assert found.vectors.shape == (4, channels) and np.isfinite(found.vectors.astype(np.float32)).all()
    assert found.vectors.astype(np.float32).std(axis=0).max() > 0
    assert np.isfinite(found.attributions.astype(np.float32)).all() and np.abs(found.attributions).max() > 0

    target, mean = found.vectors[:1].astype(np.float32), found.vectors.astype(np.float32).mean(axis=0)
    likeness = []
    for steps in (1, 16):
        once = InversionSettings(size_px=64, steps=(steps,), repeats=(), first_count=1, learning_patches=0)
        icon = invert(network, info.name, target, mean, pilot.colour, once, np.zeros(1, np.int64))
        likeness.append(_cosine(measure_icons(network, info.name, icon), target, mean))
    assert likeness[1] > likeness[0] + 0.01, likeness
    # A grid whose icons need no mending measures none: attention over windows takes no empty batch.
    assert measure_icons(network, info.name, icon[:0]).shape == (0, channels)


def _cosine(answer: np.ndarray, target: np.ndarray, mean: np.ndarray) -> float:
    one, other = torch.from_numpy(answer - mean), torch.from_numpy(target - mean)
    return float(torch.nn.functional.cosine_similarity(one, other).mean())
