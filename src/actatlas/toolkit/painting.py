"""Directions → pictures: first what strong photos have in common, then on, until the direction itself answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from actatlas.errors import UsageError
from actatlas.inversion import InversionSettings, Renderer, measure_icons, picture_key
from actatlas.toolkit.ground import Ground

FIRST_STEPS, THEN_STEPS = 48, 64
# What an answer as strong as the photos' is worth, beside a cosine's 1: with less the channel hardly shows, with more
# the picture is no sharper.
_PULL = 4.0
# Drawn to the look of photos as firmly as icons are (10), a channel's picture answers less.
_LIKENESS = 8.0
_TOGETHER = 2  # few pictures are spread over all easels, and no batch is filled up


def paint_directions(
    ground: Ground, directions: np.ndarray, groups: list[np.ndarray], start: float = 0.01, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """One picture each of K directions (K, C) of length 1, and (K, C) what the layer answers to it.

    groups: of each the rows of activations that answer strongly: the picture starts from what these have in common, so
        that several groups of one direction give several pictures of it
    start: noise of the starting pictures, in standard deviations of the prior
    Each is first painted as an icon of the group's mean is, the stronger ones counting more, then on, with what the
    answer along the direction is worth added to that.
    """
    means = np.stack([_weighted(ground.vectors(g) - ground.mean, d) for g, d in zip(groups, directions, strict=True)])
    amounts = (means * directions).sum(axis=1, keepdims=True)
    usual = float(np.linalg.norm(means, axis=1).mean())
    # Where the photos hardly answer, a unit of the answer is not worth a fortune.
    pulls = _PULL * directions / np.maximum(amounts, max(0.1 * usual, 1e-6))
    settings = replace(
        InversionSettings(), size_px=ground.size_px, likeness=_LIKENESS, batch_size=_TOGETHER, start=start
    )
    renderer = Renderer(
        ground.network, ground.layer, ground.mean, ground.colour, settings, ground.expectation,
        position=ground.position,
    )  # fmt: skip
    keys = np.array([picture_key(seed, ground.layer, i) for i in range(len(directions))], np.int64)
    none, centred = renderer.no_correction, means.astype(np.float32)
    first = renderer.paint(centred, keys, FIRST_STEPS, None, None, none)
    pictures = renderer.paint(centred, keys, THEN_STEPS, first, None, none, pulls=pulls.astype(np.float32))
    return pictures, measure_icons(ground.network, ground.layer, pictures, ground.position)


def unit(direction: np.ndarray, layer: str, channel_count: int) -> np.ndarray:
    """(C,) float32 of length 1. Raises UsageError for what is no direction of this layer."""
    found = np.asarray(direction, np.float32).ravel()
    length = float(np.linalg.norm(found))
    if len(found) != channel_count or not np.isfinite(length) or length == 0:
        raise UsageError(
            f"a direction of {layer} is {channel_count} finite numbers, not all zero; this one has {len(found)}"
            + ("" if len(found) != channel_count else ", all zero or not finite")
        )
    return found / length


def _weighted(centred: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """(C,) the mean of activations (n, C), less the layer's mean, by the square of how far each points along."""
    weights = np.maximum(centred @ direction, 1e-6) ** 2
    return (weights[:, None] * centred).sum(axis=0) / weights.sum()
