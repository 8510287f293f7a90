"""What a build will take, from a small piece of it that is really done and timed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from actatlas.collect import Collector, Pilot
from actatlas.inversion import invert
from actatlas.networks import Network
from actatlas.planning import BuildSettings, planned_sides
from actatlas.progress import Progress
from actatlas.values import ColourStatistics, ImageSource

_PROBED_IMAGES = 16
_PROBED_ICONS = 16
_PROBED_STEPS = 6
_LAYOUT_S_PER_ACTIVATION = 6e-4  # umap-learn on two cores, measured between 10,000 and 100,000 activations
_LAYOUT_START_S = 15.0
_SITE_BYTES_PER_CELL = 30_000  # tiles and patches


def expected(
    network: Network, source: ImageSource, settings: BuildSettings, plan: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Images, activations a layer, layers, grids, seconds by stage, disk_bytes and memory_bytes of a whole build."""
    layers = [layer["name"] for layer in plan["layers"]]
    channels = {layer["name"]: layer["shape"][0] for layer in plan["layers"]}
    images = len(source.records)
    activations = images * max(settings.collect.crops, 1) * settings.collect.positions
    sides = planned_sides(settings, images)
    cells = {side: _likely_cells(side, activations) for side in sides}
    pilot = _plain_pilot(network, layers, channels)
    with progress.stage("Timing a few photos and icons", 1 + len(layers)) as tick:
        image_s = _image_seconds(network, source, layers, settings, pilot)
        tick(1)
        icon_s = {}
        for name in layers:
            icon_s[name] = _icon_seconds(network, name, channels[name], settings, pilot)
            tick(1)
    row_bytes = sum(2 * c for c in channels.values()) + 2 * (network.class_count or 0) * len(layers)
    icons = sum(cells.values())
    cell_bytes = 3 * plan["icon_px"] ** 2 * 0.6 + _SITE_BYTES_PER_CELL
    seconds = {
        "collect": image_s * images,
        "layout": _LAYOUT_START_S + _LAYOUT_S_PER_ACTIVATION * activations * len(layers),
        "icons": sum(s * icons for s in icon_s.values()),
        "site": 0.02 * icons * len(layers),
    }
    return {
        "images": images, "activations": activations, "layers": layers, "grids": sides,
        "cells": {str(side): count for side, count in cells.items()},
        "seconds": {stage: round(s, 1) for stage, s in seconds.items()},
        "disk_bytes": int(row_bytes * activations + icons * len(layers) * cell_bytes),
        "memory_bytes": int(1.0e9 + activations * (2 * max(channels.values()) * 3 + 40 * 20)),
    }  # fmt: skip


def _image_seconds(
    network: Network, source: ImageSource, layers: list[str], settings: BuildSettings, pilot: Pilot
) -> float:
    collect = replace(settings.collect, shard_images=min(_PROBED_IMAGES, len(source.records)))
    started = time.monotonic()
    for _ in Collector(network, source, layers, collect, pilot).shards([0]):
        pass
    return (time.monotonic() - started) / collect.shard_images


def _icon_seconds(network: Network, layer: str, channel_count: int, settings: BuildSettings, pilot: Pilot) -> float:
    few = replace(settings.icons, steps=_PROBED_STEPS)
    targets = np.random.default_rng(0).random((_PROBED_ICONS, channel_count), np.float32)
    keys, mean = np.arange(_PROBED_ICONS), targets.mean(axis=0)
    invert(network, layer, targets, mean, pilot.colour, replace(few, steps=1), keys)  # the first call is slower
    started = time.monotonic()
    invert(network, layer, targets, mean, pilot.colour, few, keys)
    return (time.monotonic() - started) / _PROBED_ICONS * settings.icons.steps / _PROBED_STEPS


def _plain_pilot(network: Network, layers: list[str], channels: dict[str, int]) -> Pilot:
    """A pilot that has measured nothing: float32, baselines of zero, a middle grey."""
    return Pilot(
        precision="float32", agreement={}, patch_px=dict.fromkeys(layers, network.preprocessing.input_px[0]),
        map_sizes={name: network.layer(name).shape[1:] for name in layers},
        baselines={name: np.zeros(channels[name], np.float32) for name in layers},
        colour=ColourStatistics(mean=np.full(3, 0.5, np.float32), covariance=np.eye(3, dtype=np.float32) * 0.07),
    )  # fmt: skip


def _likely_cells(side: int, activations: int) -> int:
    """Layouts leave about a fifth of a coarse grid empty, and a fine one thins out as activations get few."""
    return int(0.8 * side**2 * (1 - np.exp(-activations / (3.0 * side**2))))
