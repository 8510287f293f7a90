"""For tests, ours and others': a whole build in about a second, real in every stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from actatlas import api, pipeline
from actatlas.images import open_source
from actatlas.inversion import InversionSettings
from actatlas.networks import Network
from actatlas.preprocessing import Preprocessing
from actatlas.progress import Silent
from actatlas.working import WorkingAtlas

LAYERS = ("first", "second")
LABELS = ("dots", "stripes", "checks")


def small_network() -> Network:
    """Three convolutions of eight channels, no weight of which was learnt; the same at every call."""
    random = torch.Generator().manual_seed(3)
    module = torch.nn.Sequential()
    for name, channels in (("stem", 3), ("one", 8), ("two", 8)):
        convolution = torch.nn.Conv2d(channels, 8, 3, stride=2 if name != "two" else 1, padding=1)
        module.add_module(name, convolution)
        module.add_module({"stem": "bend", "one": "first", "two": "second"}[name], torch.nn.SiLU())
    module.add_module("pool", torch.nn.AdaptiveAvgPool2d(1))
    module.add_module("flat", torch.nn.Flatten())
    module.add_module("classes", torch.nn.Linear(8, len(LABELS)))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random) / max(parameter[0].numel(), 4) ** 0.5)
    return api.load_network(module.eval(), preprocessing=Preprocessing((32, 32), 32), labels=list(LABELS))


def small_photos(folder: Path, count: int = 12) -> Path:
    """Pictures of dots, stripes and checks, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:40, :48]
    for number in range(count):
        random = np.random.default_rng(number)
        period = int(random.integers(4, 14))
        pattern = (
            np.hypot(rows % period - period / 2, columns % period - period / 2) < period / 3,
            (rows + columns) % period < period / 2,
            (rows // period + columns // period) % 2 == 0,
        )[number % 3]
        ground, ink = random.integers(0, 256, (2, 3))
        Image.fromarray(np.where(pattern[..., None], ink, ground).astype(np.uint8)).save(folder / f"{number:03d}.png")
    return folder


def small_build(photos: Path, out: Path, network: Network | None = None, **changes: Any) -> WorkingAtlas:
    """An atlas of two layers, with one grid, in three shards; with `add=True` what it lacks is added to it."""
    collect = replace(api.collect_settings(0, 4, "removal", "float32", changes.pop("seed", 0)), shard_images=4)
    icons = InversionSettings(size_px=8, steps=(2, 1), first_count=3, repeats=(), learning_patches=12, look_every=2)
    layers, grids, executor = changes.pop("layers", LAYERS), changes.pop("grids", (2,)), changes.pop("executor", None)
    add = changes.pop("add", False)
    settings = api.build_settings(layers, grids, collect, api.layout_settings(None, True, collect.seed), icons)
    settings = replace(settings, **changes)
    pipeline.build(network or small_network(), open_source(photos), out, settings, Silent(), executor, add)
    return api.open(out)
