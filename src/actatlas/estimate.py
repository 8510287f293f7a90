"""What a build will take, from a small piece of it that is really done and timed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from actatlas.collect import Collector, CollectSettings, Pilot
from actatlas.inversion import InversionSettings, Renderer, learn_expectation, round_sizes, side_px
from actatlas.layout import lays_out_landmarks
from actatlas.networks import Network
from actatlas.planning import BuildSettings, planned_sides
from actatlas.progress import Progress
from actatlas.values import ColourStatistics, ImageSource

_PROBED_IMAGES = 16
_PROBED_CROPS, _PROBED_POSITIONS = 4, 3  # of each of them, where attributions are timed
_PROBED_ICONS = 32
_PROBED_STEPS = 6
# On two cores, of everybody at once and by landmarks; measured from 10,000 and from 100,000 to a million.
_LAYOUT_S_PER_ACTIVATION = {False: 6e-4, True: 2e-4}
# Copies of the vectors in memory, and bytes of neighbours and edges an activation.
_LAYOUT_MEMORY = {False: (3, 800), True: (2, 500)}
_SHARD_COPIES = 2.2  # of the vectors of all layers, while a shard grows and is written
_ALIGNED_MEMORY = 1_400  # bytes an activation of each layer, all of whose graphs are there at once
_LAYOUT_START_S = 15.0
_AVERAGING_S_PER_NUMBER = 2e-8  # of a layer's vectors, for each grid
_LEARNING_S = 4.0  # a layer, on two cores
_STEPS_TO_MEASURE = 3  # an icon's fidelity takes as long
_PHOTOS_OF_MEMBERS = 0.7  # distinct photos in a cell, for each of its members
_OF_OTHER_LAYERS = 0.25  # of the rows that a layer attributes, those that no layer before it does
_SITE_BYTES_PER_CELL = 20_000  # tiles of three views, patches and numbers; less where there are many cells


def expected(
    network: Network, source: ImageSource, settings: BuildSettings, plan: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Images, activations a layer, layers, grids, seconds by stage, disk_bytes and memory_bytes of a whole build."""
    layers = [layer["name"] for layer in plan["layers"]]
    channels = {layer["name"]: layer["shape"][0] for layer in plan["layers"]}
    images = len(source.records)
    collect = settings.collect
    activations = collect.activation_count(images)
    has_attributions = collect.attribution is not None and network.class_count is not None
    is_sampled = has_attributions and collect.attributes_a_sample(images)
    sides = planned_sides(settings, images)
    cells = {side: _likely_cells(side, activations) for side in sides}
    pilot = _plain_pilot(network, layers, channels)
    with progress.stage("Timing a few photos and icons", 1 + len(layers)) as tick:
        bare = replace(collect, attribution=None)
        image_s = _image_seconds(network, source, layers, bare if is_sampled else collect, pilot)
        of_input = _attribution_seconds(network, source, layers, collect, pilot) if is_sampled else (0.0, 0.0)
        tick(1)
        step_s = {}
        for name in layers:
            step_s[name] = _step_seconds(network, name, channels[name], settings.icons, pilot)
            tick(1)
    icons = sum(cells.values())
    by_landmarks = lays_out_landmarks(settings.layout, activations)
    copies, edge_bytes = _LAYOUT_MEMORY[by_landmarks]
    held = _ALIGNED_MEMORY * len(layers) if by_landmarks and settings.layout.align and len(layers) > 1 else 0
    searched = 2 * max(channels.values()) * copies + edge_bytes
    attributed = _attributed_rows(collect, cells, activations) if is_sampled else activations
    row_bytes = 2 * sum(channels.values())  # an activation in all layers
    of_shard = row_bytes * activations // images * min(collect.shard_images, images)
    class_bytes = (2 * attributed + 6 * icons * is_sampled) * (network.class_count or 0) * has_attributions
    disk_bytes = row_bytes * activations + class_bytes * len(layers)
    cell_bytes = 3 * max(plan["icon_px"].values()) ** 2 * 0.6 + _SITE_BYTES_PER_CELL
    averaged = sum(channels.values()) + (network.class_count or 0) * len(layers) * (has_attributions and not is_sampled)
    seconds = {
        "collect": image_s * images,
        "layout": _LAYOUT_START_S + _LAYOUT_S_PER_ACTIVATION[by_landmarks] * activations * len(layers),
        "grid": _AVERAGING_S_PER_NUMBER * activations * averaged * len(sides),
        "icons": sum(_LEARNING_S + s * _picture_steps(cells, settings.icons) for s in step_s.values()),
        "site": 0.006 * icons * len(layers),
    }
    if is_sampled:
        seconds["attributions"] = _sample_seconds(collect, images, attributed, len(layers), of_input)
    return {
        "images": images, "activations": activations, "layers": layers, "grids": sides,
        "cells": {str(side): count for side, count in cells.items()},
        "seconds": {stage: round(s, 3) for stage, s in seconds.items()},
        "disk_bytes": int(disk_bytes + icons * len(layers) * cell_bytes),
        "memory_bytes": int(1.0e9 + max(activations * max(searched, held), _SHARD_COPIES * of_shard)),
    }  # fmt: skip


def _image_seconds(
    network: Network, source: ImageSource, layers: list[str], collect: CollectSettings, pilot: Pilot
) -> float:
    collect = replace(collect, shard_images=min(_PROBED_IMAGES, len(source.records)))
    collector = Collector(network, source, layers, collect, pilot)
    started = time.monotonic()
    for _ in collector.shards([0]):
        pass
    return (time.monotonic() - started) / collect.shard_images


def _attribution_seconds(
    network: Network, source: ImageSource, layers: list[str], collect: CollectSettings, pilot: Pilot
) -> tuple[float, float]:
    """Of one input, and of each of its positions, in all layers. Whole photos may have thousands of these."""
    few = replace(collect, crops=min(collect.crops, _PROBED_CROPS), positions=1)
    more = replace(few, positions=_PROBED_POSITIONS)
    one_s, several_s = (_image_seconds(network, source, layers, how, pilot) for how in (few, more))
    position_s = max(several_s - one_s, 0) / (_PROBED_POSITIONS - 1)
    return max(one_s - position_s, 0) / few.crops_per_photo, position_s / few.crops_per_photo


def _attributed_rows(collect: CollectSettings, cells: dict[int, int], activations: int) -> int:
    """Of a layer, by the finest grid: what stands for coarser cells, or for all, mostly stands for finer ones too."""
    of_cell = {side: min(collect.attributed_photos, _PHOTOS_OF_MEMBERS * activations / n) for side, n in cells.items()}
    chosen = max((of_cell[side] * n for side, n in cells.items()), default=0)
    return int(min(max(chosen, collect.attributed_for_average), activations))


def _sample_seconds(
    collect: CollectSettings, images: int, rows: int, layer_count: int, of_input: tuple[float, float]
) -> float:
    """of_input: seconds of one, and of each of its positions that is attributed"""
    input_s, position_s = of_input
    inputs = images * collect.crops_per_photo
    of_any_layer = rows * (1 + _OF_OTHER_LAYERS * (layer_count - 1))
    run = inputs * (1 - np.exp(-of_any_layer / inputs))  # those that any of the rows falls on
    turns = min(1 + rows / run, collect.positions)  # in a batch all wait for the input with the most rows
    return run * (input_s + position_s * turns)


def _picture_steps(cells: dict[int, int], icons: InversionSettings) -> int:
    """Of all grids of a layer: the coarsest is painted from nothing, each other one starts from a coarser one."""
    steps = 0
    for number, side in enumerate(sorted(cells)):
        rounds = round_sizes(cells[side], icons, has_parents=number > 0)
        steps += sum(size.count * (size.steps + _STEPS_TO_MEASURE) for size in rounds)
    return steps


def _step_seconds(network: Network, layer: str, channel_count: int, icons: InversionSettings, pilot: Pilot) -> float:
    """Of one picture; with an expectation that expects nothing, but is as much work as any."""
    targets = np.random.default_rng(0).random((_PROBED_ICONS, channel_count), np.float32)
    side = side_px(network, layer, icons.size_px)
    patches = np.full((2, side, side, network.preprocessing.channel_count), 128, np.uint8)
    mean, pair = targets.mean(axis=0), np.arange(2)
    expectation = learn_expectation(network, layer, targets[:2], patches, pair, mean, pilot.colour, icons)
    renderer = Renderer(network, layer, mean, pilot.colour, icons, expectation)
    centred, keys, nothing = targets - mean, np.arange(_PROBED_ICONS), renderer.no_correction
    renderer.paint(centred, keys, 1, None, None, nothing)  # the first call is slower
    started = time.monotonic()
    renderer.paint(centred, keys, _PROBED_STEPS, None, None, nothing)
    return (time.monotonic() - started) / _PROBED_ICONS / _PROBED_STEPS


def _plain_pilot(network: Network, layers: list[str], channels: dict[str, int]) -> Pilot:
    """A pilot that has measured nothing: float32, baselines of zero, a middle grey."""
    return Pilot(
        precision="float32", agreement={}, patch_px=dict.fromkeys(layers, network.preprocessing.input_px[0]),
        windows=dict.fromkeys(layers, 3),
        map_sizes={name: network.layer(name).shape[1:] for name in layers},
        baselines={name: np.zeros(channels[name], np.float32) for name in layers},
        colour=ColourStatistics(mean=np.full(3, 0.5, np.float32), covariance=np.eye(3, dtype=np.float32) * 0.07),
    )  # fmt: skip


def _likely_cells(side: int, activations: int) -> int:
    """Layouts leave about a fifth of a coarse grid empty, and a fine one thins out as activations get few."""
    return int(0.8 * side**2 * (1 - np.exp(-activations / (3.0 * side**2))))
