"""What one photo is to a layer: an icon for what each position answers, or for each of a few groups of positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d

from actatlas.bands import Bands, false_colours
from actatlas.errors import UsageError
from actatlas.inversion import InversionSettings, Painting, Renderer, measure_icons, paired_cosines, picture_key
from actatlas.toolkit.drawing import show_grid
from actatlas.toolkit.factors import factors
from actatlas.toolkit.ground import Ground
from actatlas.toolkit.result import Result
from actatlas.toolkit.sheet import Leaf
from actatlas.toolkit.studio import Seen, Studio, studio_of

_CONTRAST = 0.03
MOST_ACROSS = 14  # icons along a side; positions of larger maps are averaged in squares
MOST_GROUPS = 24


@dataclass(frozen=True)
class LayerGrid:
    """One layer's part of a grid: icons, and where each belongs.

    shape: (rows, columns) of the map, or of the squares of positions that were averaged, `averaged` a side
    icons: (n, S, S, 3) uint8: one a position, row by row; with groups one a group, the one that counts most first
    magnitudes: (n,) float32, length of the activation less the layer's mean; with groups the group's share of all
    cosines: (n,) float32, between what the layer answers to the icon and its target, both less the layer's mean
    memberships: (n, rows, columns) float32 of groups, how much of each is at a position, in [0, 1]; else None
    """

    layer: str
    shape: tuple[int, int]
    averaged: int
    icons: np.ndarray
    magnitudes: np.ndarray
    cosines: np.ndarray
    memberships: np.ndarray | None

    def __len__(self) -> int:
        return len(self.icons)

    def to_json(self) -> dict[str, Any]:
        return {
            "layer": self.layer, "shape": list(self.shape), "averaged": self.averaged,
            "grouped": self.memberships is not None,
            "icons": [
                {"magnitude": round(float(m), 4), "cosine": round(float(c), 4)}
                for m, c in zip(self.magnitudes, self.cosines, strict=True)
            ],
        }  # fmt: skip


@dataclass(frozen=True)
class ActivationGrid(Result):
    """A photo as the network sees it, and what it is to each of some layers, in the order they were asked for."""

    name: str
    photo: Image.Image
    spec: str
    layers: tuple[LayerGrid, ...]

    def leaf(self) -> Leaf:
        return show_grid(self)

    def to_json(self) -> dict[str, Any]:
        return {"photo": self.name, "model": self.spec, "layers": [layer.to_json() for layer in self.layers]}


def activation_grid(
    subject: Any,
    photo: str | Path | Image.Image | Bands,
    layers: Sequence[str] = (),
    *,
    groups: int = 0,
    photos: Any = None,
) -> ActivationGrid:
    """What a photo is to one or more layers.

    subject, photos: see Studio; layers: names, empty for the atlas's or the recommended ones
    groups: 0 paints an icon for every position (of maps above 14 × 14 for squares of them); else so many groups of
        positions, by non-negative factors of the activations, get one icon each
    Raises UnreadableImage, LayerNotFound, UsageError for groups that cannot be.
    """
    studio = studio_of(subject, photos)
    if not 0 <= groups <= MOST_GROUPS:
        raise UsageError(f"{groups} groups cannot be; ask for 1 to {MOST_GROUPS}, or 0 for an icon of every position")
    names = [studio.network.layer(name).name for name in layers or _usual(studio)]
    seen = studio.see(photo)
    grids = tuple(_grid_of(studio, seen, name, groups) for name in names)
    return ActivationGrid(seen.name, seen.picture, studio.network.spec, grids)


def _usual(studio: Studio) -> list[str]:
    if studio.atlas:
        return studio.atlas.layer_names
    return [layer.name for layer in studio.network.layers if layer.recommended][-3:]


def _grid_of(studio: Studio, seen: Seen, layer: str, group_count: int) -> LayerGrid:
    ground = studio.ground(layer)
    with torch.no_grad():
        maps = studio.network.activations(seen.inputs, [layer])[layer].float().cpu()  # (1, C, H, W)
    averaged = -(-max(maps.shape[2:]) // MOST_ACROSS)
    size = -(-maps.shape[2] // averaged), -(-maps.shape[3] // averaged)
    pooled = adaptive_avg_pool2d(maps, size)[0]  # (C, rows, columns)
    vectors = pooled.flatten(1).T.numpy()  # (positions, C)
    if group_count:
        targets, magnitudes, memberships = _grouped(vectors, group_count, studio.seed)
        memberships = memberships.reshape(-1, *size)
        # A single activation is not as calm as the mean of many; a group is calm.
        icons, cosines = _painted(studio, ground, targets, emphasis=2.0)
    else:
        magnitudes, memberships = np.linalg.norm(vectors - ground.mean, axis=1).astype(np.float32), None
        icons, cosines = _painted(studio, ground, vectors, emphasis=1.0)
    return LayerGrid(layer, size, averaged, icons, magnitudes, cosines, memberships)


def _grouped(vectors: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of the activations (positions, C), the one that counts most first, float32: targets (n, C), shares of all
    (n,), and how much of each is at a position, (n, positions) in [0, 1].
    """
    strengths, parts = factors(np.maximum(vectors, 0), min(count, len(vectors)), seed)
    order = np.argsort(-strengths.sum(axis=0), kind="stable")
    strengths, parts = strengths[:, order], parts[order]
    most, amounts = np.maximum(strengths.max(axis=0), 1e-12), strengths.sum(axis=0)
    # A group as strong as where there is most of it.
    found = parts * most[:, None], amounts / max(float(amounts.sum()), 1e-12), (strengths / most).T
    targets, shares, memberships = (one.astype(np.float32) for one in found)
    return targets, shares, memberships


def _painted(studio: Studio, ground: Ground, targets: np.ndarray, emphasis: float) -> tuple[np.ndarray, np.ndarray]:
    """Icons of targets (n, C), and (n,) how well each answers; as an atlas's cells are painted, but that all are drawn
    away from the others a little, in place of mending those that are like others."""
    settings = replace(InversionSettings(), size_px=ground.size_px, emphasis=emphasis, contrast=_CONTRAST)
    renderer = Renderer(ground.network, ground.layer, ground.mean, ground.colour, settings, ground.expectation)
    keys = np.array([picture_key(studio.seed, ground.layer, i) for i in range(len(targets))], np.int64)
    painting = Painting(renderer, targets, ground.mean, settings, keys)
    with studio.progress.stage(f"Painting {ground.layer}", len(targets), "icons", work=painting.work) as tick:
        painting.paint_rounds(tick)
    answers = measure_icons(ground.network, ground.layer, painting.pictures)
    cosines = paired_cosines(answers, targets, ground.mean)
    return false_colours(painting.pictures), cosines.astype(np.float32)
