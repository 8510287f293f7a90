"""Patches of the atlas's photos, and the classes that they speak for although nobody says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from actatlas.atlas import Atlas, Grid, Layer
from actatlas.errors import NoAttributions
from actatlas.preprocessing import patch_box

# Quantiles of a class's attributions, over the cells, and over the activations of photos that have nothing of it.
_STRONG_CELLS, _STRONG_ACTIVATIONS = 0.9, 0.95
_PHOTOS_TOGETHER = 32

Made = TypeVar("Made")


@dataclass(frozen=True)
class Cut:
    """A square part of a photo around an activation. row: of the layer's activations; px: its side, in network input
    pixels of the photo or crop that the activation comes from."""

    row: int
    px: int


@dataclass(frozen=True)
class Evidence:
    """What speaks for a class without being of it.

    rows: (n,) of the layer's activations; cells: (n,) where each lies
    attributions: (n, classes) float32, in logits over the layer's average activation
    is_evidence: (n, classes) bool: the activation's photo has nothing of the class, yet it speaks for it; and it lies
        in the tenth of the cells that speak most for it, or is in the twentieth of such activations that do
    """

    rows: np.ndarray
    cells: np.ndarray
    attributions: np.ndarray
    is_evidence: np.ndarray


@dataclass(frozen=True)
class PhotoClasses:
    """What each photo of the atlas is, as far as anybody says.

    found: {image id: the class that most of its crops are taken for}
    held: {image id: classes in the top 5 of any of its crops, or its label}
    main: {image id: the one found, and its label}
    """

    found: Mapping[int, int]
    held: Mapping[int, frozenset[int]]
    main: Mapping[int, frozenset[int]]

    @classmethod
    def of(cls, atlas: Atlas, truths: Mapping[int, tuple[int, ...]]) -> PhotoClasses:
        """truths: classes by label, of the images that have one"""
        assert atlas.top_classes is not None  # there are logits
        held: dict[int, set[int]] = {}
        firsts: dict[int, list[int]] = {}
        for image_id, classes in zip(*(part.tolist() for part in atlas.top_classes), strict=True):
            held.setdefault(image_id, set(truths.get(image_id, ()))).update(classes)
            firsts.setdefault(image_id, []).append(classes[0])
        found = {i: max(sorted(set(each)), key=each.count) for i, each in firsts.items()}
        main = {i: frozenset({first, *truths.get(i, ())}) for i, first in found.items()}
        return cls(found, {i: frozenset(classes) for i, classes in held.items()}, main)

    def foreign(self, image_id: int, related: np.ndarray) -> np.ndarray:
        """(classes,) bool: nobody says that the photo holds the class, or is of one related to it."""
        near = np.asarray(related[list(self.main[image_id])].any(axis=0))
        near[list(self.held[image_id])] = True
        return ~near


def draw_rows(layer: Layer, grid: Grid, most: int, seed: int) -> np.ndarray:
    """Up to `most` activations in kept cells that carry attributions, drawn at random, ascending."""
    kept = layer.carrying(np.sort(grid.all_members[1]))
    return np.sort(np.random.default_rng(seed).permutation(kept)[:most])


def find_evidence(layer: Layer, grid: Grid, rows: np.ndarray, photos: PhotoClasses, related: np.ndarray) -> Evidence:
    """Of some activations. Raises NoAttributions."""
    over = grid.attributions_over_mean
    if over is None:
        raise NoAttributions(layer.atlas.folder)
    attributions = layer.attributions_over_mean(rows)
    cells = np.full(layer.activation_count, -1, np.int64)
    for k in range(len(grid)):
        cells[grid.members(k)] = k
    is_strong_cell = (over >= np.quantile(over, _STRONG_CELLS, axis=0)) & (over > 0)  # (K, classes)
    ids = layer.places.image_ids[rows]
    foreign = {int(i): photos.foreign(int(i), related) for i in np.unique(ids)}
    is_foreign = np.stack([foreign[int(i)] for i in ids])
    is_evidence = is_foreign & (attributions > 0)
    is_strong = is_strong_cell[cells[rows]] | (attributions >= _highest(attributions, is_evidence, _STRONG_ACTIVATIONS))
    return Evidence(rows, cells[rows], attributions, is_evidence & is_strong)


def _highest(values: np.ndarray, counts: np.ndarray, quantile: float) -> np.ndarray:
    """(classes,) what the highest of the values (n, classes) reach, of those that count; the very highest at least."""
    ordered = np.sort(np.where(counts, values, -np.inf), axis=0)
    place = len(values) - np.maximum((counts.sum(axis=0) * (1 - quantile)).astype(int), 1)
    return np.take_along_axis(ordered, place[None], axis=0)[0]


def cut_photo(layer: Layer, photo: Image.Image, cut: Cut) -> Image.Image:
    left, top, right, bottom = box_in_photo(layer, cut)
    width, height = photo.size
    x, y = round(left * width), round(top * height)
    return photo.crop((x, y, max(round(right * width), x + 1), max(round(bottom * height), y + 1)))


def cut_photos(layer: Layer, cuts: list[Cut], made: Callable[[Image.Image], Made]) -> Iterator[tuple[Cut, Made]]:
    """What is made of each cut. Every photo is read once, some at a time. Raises UnreadableImage where one is gone."""
    of_photo: dict[int, list[Cut]] = {}
    for cut in cuts:
        of_photo.setdefault(int(layer.places.image_ids[cut.row]), []).append(cut)

    def cut_one(image_id: int) -> list[tuple[Cut, Made]]:
        photo = layer.atlas.source.read(image_id)
        return [(cut, made(cut_photo(layer, photo, cut))) for cut in of_photo[image_id]]

    image_ids = sorted(of_photo)
    with ThreadPoolExecutor(thread_name_prefix="actatlas-patches") as pool:
        for start in range(0, len(image_ids), _PHOTOS_TOGETHER):
            for found in pool.map(cut_one, image_ids[start : start + _PHOTOS_TOGETHER]):
                yield from found


def box_in_photo(layer: Layer, cut: Cut) -> tuple[float, float, float, float]:
    """Left, top, right, bottom, as fractions of the upright photo."""
    places, input_px = layer.places, layer.atlas.preprocessing.input_px
    position = tuple(places.positions[cut.row].tolist())
    inside = patch_box(position, cut.px, layer.info.shape[1:], input_px)
    left, top, right, bottom = places.boxes[cut.row].tolist()
    across, down = (right - left) / input_px[1], (bottom - top) / input_px[0]
    return left + inside[0] * across, top + inside[1] * down, left + inside[2] * across, top + inside[3] * down
