"""The network at work: what it makes of a photo, with a patch on it and without, and better icons."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from actatlas.atlas import Facet, Grid
from actatlas.confusions.keeping import Confusion, has_patches, read_kept
from actatlas.confusions.pasting import as_pixels, laid_on, logits_of, shrunk, side_px
from actatlas.errors import UsageError
from actatlas.lab.asking import CellName, Patch, Photo, Place, Proposed
from actatlas.lab.pictures import Pictures, png
from actatlas.networks import folded, likeliest
from actatlas.records import read_pilot
from actatlas.working import WorkingAtlas

_TOP = 5
_PATCHES = 4  # of a facet


@dataclass(frozen=True)
class Look:
    """A photo as the network sees it, and what it says of it.

    picture: at the input's size; pixels: (channels, H, W) float32 in [0, 1]
    logits: (1, classes) float32, or (1, 0) of a network without classes
    """

    picture: Image.Image
    pixels: Tensor
    logits: Tensor


class Bench:
    """One atlas with its network. A lock for the eyes and one for the brush: a patch is dragged while an icon dries.

    Raises PlanChanged where the network has other weights than the atlas's, and what loading it raises.
    """

    def __init__(self, atlas: WorkingAtlas, pictures: Pictures):
        self.atlas, self.pictures = atlas, pictures
        network = atlas.network
        atlas.require_weights(network.spec, network.weights_sha256)
        quick = folded(network, atlas.layer_names)
        # Modules of its own: icons are painted with the network itself, by another thread.
        self.eyes = network.sharing_weights(network.device) if quick is network else quick
        self.looking, self.painting = threading.Lock(), threading.Lock()
        self.look = lru_cache(16)(self._look)
        self._icon = lru_cache(32)(self._paint)
        self._facets = lru_cache(32)(self._part)
        self._small = lru_cache(64)(self._shrink)

    @cached_property
    def names(self) -> Sequence[str]:
        """Raises NetworkError for a network without classes."""
        return self.atlas.class_names.labels

    @cached_property
    def confusions(self) -> dict[Proposed, Confusion]:
        """What was found by any layer and has its patches, the best first; nothing of a control's random pairs."""
        layers = [layer for name in self.atlas.layer_names if has_patches(layer := self.atlas.layer(name))]
        kept = {layer.name: read_kept(layer) for layer in layers}
        return {
            Proposed(name, entry.proposal.rank): entry
            for name, found in kept.items()
            if found is not None and not found.settings.get("at_random")
            for entry in found.entries
        }

    def require_means(self) -> None:
        """Raises UnfinishedAtlas where it cannot be said which cells a photo lights up."""
        for name in self.atlas.layer_names:
            layer = self.atlas.layer(name)
            if layer.grid_sides:
                layer.mean, layer.grid(layer.grid_sides[0]).means  # noqa: B018

    def require_colours(self) -> None:
        """Raises UnfinishedAtlas where no icon can be painted: a published copy does without what a painter needs."""
        self.require_means()
        read_pilot(self.atlas.files)

    def logits(self, pixels: Tensor) -> Tensor:
        """(B, classes) of (B, channels, H, W); (B, 0) of a network without classes."""
        if self.eyes.class_count is None:
            return torch.empty(len(pixels), 0)
        with self.looking:
            return logits_of(self.eyes, pixels)

    def maps(self, photo: Photo, layers: Sequence[str]) -> dict[str, np.ndarray]:
        """{layer: (C, H, W) float32} of a photo as the network sees it."""
        pixels = as_pixels(self.pictures.seen(photo), self.eyes)
        with self.looking, torch.no_grad():
            found = self.eyes.activations(self.eyes.normalize(pixels[None]), layers)
        return {name: maps[0].float().cpu().numpy() for name, maps in found.items()}

    def predict(self, photo: Photo, patch: Patch | None, place: Place | None) -> dict[str, Any]:
        """What the network takes a photo for, and the same with a patch on it."""
        started = time.perf_counter()
        look = self.look(photo)
        answer: dict[str, Any] = {
            "before": self.top(look.logits), "after": None, "classes": None, "box": None, "picture": png(look.picture)
        }  # fmt: skip
        if patch is not None and place is not None:
            changed, box = self.laid(look.pixels, patch, place)
            logits = self.logits(changed[None])
            answer |= {
                "after": self.top(logits), "classes": self._both(look.logits, logits), "box": box,
                "picture": png(as_picture(changed)),
            }  # fmt: skip
        return answer | {"seconds": round(time.perf_counter() - started, 4)}

    def laid(self, pixels: Tensor, patch: Patch, place: Place) -> tuple[Tensor, list[float]]:
        """A copy of (channels, H, W) with the patch on it; its left, top, right and bottom, as fractions."""
        height, width = pixels.shape[1:]
        small = self._small(patch, side_px(place.side, (height, width)))
        h, w = small.shape[1:]
        top = min(max(round(place.y * height - h / 2), 0), height - h)
        left = min(max(round(place.x * width - w / 2), 0), width - w)
        box = [left / width, top / height, (left + w) / width, (top + h) / height]
        return laid_on(pixels, small, top, left), [round(v, 4) for v in box]

    def patch(self, patch: Patch) -> Image.Image:
        """As large as it is. Raises UsageError, ImageError."""
        if not isinstance(patch, Proposed):
            return self.pictures.patch(patch)
        if patch not in self.confusions:
            raise UsageError(f"no misunderstanding of {patch.layer} was proposed as number {patch.rank}")
        return self.confusions[patch].patch

    def top(self, logits: Tensor) -> list[dict[str, Any]]:
        (found,) = likeliest(logits)
        return [{"index": i, "class": self.names[i], "probability": round(p, 4)} for i, p in found]

    def icon(self, cell: CellName, steps: int, px: int | None) -> dict[str, Any]:
        """A better icon of a cell. px: its side, None the atlas's"""
        with self.painting:
            return self._icon(cell, steps, px)

    def facets(self, cell: CellName, count: int) -> dict[str, Any]:
        """What a cell is made of: up to `count` clusters of its activations, each with an icon and its photos'."""
        with self.painting:
            return self._facets(cell, count)

    # --- inside

    def _look(self, photo: Photo) -> Look:
        picture = self.pictures.seen(photo)
        pixels = as_pixels(picture, self.eyes)
        return Look(picture, pixels, self.logits(pixels[None]))

    def _shrink(self, patch: Patch, longer_px: int) -> Tensor:
        return as_pixels(shrunk(self.patch(patch), longer_px), self.eyes)

    def _both(self, before: Tensor, after: Tensor) -> list[dict[str, Any]]:
        """The classes of both lists, those first that are likeliest after."""
        first, then = before[0].softmax(dim=0), after[0].softmax(dim=0)
        count = min(_TOP, len(first))
        wanted = set(first.topk(count).indices.tolist()) | set(then.topk(count).indices.tolist())
        return [
            {
                "index": i, "class": self.names[i],
                "before": round(float(first[i]), 4), "after": round(float(then[i]), 4),
            }
            for i in sorted(wanted, key=lambda i: (-float(then[i]), i))
        ]  # fmt: skip

    def _paint(self, name: CellName, steps: int, px: int | None) -> dict[str, Any]:
        started = time.perf_counter()
        grid, k = self.pictures.cell(name)
        cell = grid.cell(k)
        icon, stored = cell.render(steps=steps, px=px), cell.icon
        return {
            "picture": png(icon.image), "key": self.pictures.shelf.put(icon.image, self.atlas.preprocessing),
            "cosine": round(icon.cosine, 3), "rank": icon.rank, "cells": len(grid), "steps": steps,
            "stored": {"cosine": round(stored.cosine, 3), "rank": stored.rank},
            "seconds": round(time.perf_counter() - started, 1),
        }  # fmt: skip

    def _part(self, name: CellName, count: int) -> dict[str, Any]:
        started = time.perf_counter()
        grid, k = self.pictures.cell(name)
        facets = grid.cell(k).facets(count)
        return {
            "facets": [self._facet_value(grid, facet) for facet in facets],
            "cells": len(grid), "seconds": round(time.perf_counter() - started, 1),
        }  # fmt: skip

    def _facet_value(self, grid: Grid, facet: Facet) -> dict[str, Any]:
        patches, why = self.pictures.patches(grid.layer, grid.layer.nearest_rows(facet.rows, facet.mean, _PATCHES))
        return {
            "picture": png(facet.icon.image), "cosine": round(facet.icon.cosine, 3), "rank": facet.icon.rank,
            "activations": len(facet), "photos": facet.image_count,
            "patches": patches, "without_patches": why,
        }  # fmt: skip


def as_picture(pixels: Tensor) -> Image.Image:
    """(channels, H, W) in [0, 1] → RGB, or L."""
    values = (pixels * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
