"""What pictures of a layer's directions are judged by, beside `measure_icons`: the contract's "Fidelity of an icon".

Second opinion: does a network that took no part take the icon for its cell's photos? Naturalness: do icons look like
pictures to it? Highest correlation: is an icon a copy of a photo? None of this is used while anything is painted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from actatlas.collect import CollectSettings
from actatlas.collect.decoding import Decoder
from actatlas.inversion import InversionSettings, learn_expectation, measure_icons
from actatlas.inversion.expectation import Expectation
from actatlas.networks import Network
from actatlas.preprocessing import patch_box
from actatlas.values import ActivationSet, Cells, ColourStatistics, ImageSource

SIGNATURE_PATCHES = 16
JUDGES = "blocks.4.expanded", "blocks.10.expanded", "blocks.15.expanded"
_BATCH = 32


class Crops:
    """Every crop of every photo that was collected, in memory, and patches of them."""

    def __init__(self, network: Network, source: ImageSource, settings: CollectSettings, activations: ActivationSet):
        self._one_crop = Decoder(source, network.preprocessing, replace(settings, crops=1))
        decoder = Decoder(source, network.preprocessing, settings)
        self._input_px = network.preprocessing.input_px
        self._inputs: dict[tuple, np.ndarray] = {}
        ids = np.unique(activations.image_ids).tolist()
        for photo in decoder.run_ahead(ids, photos_ahead=32):
            boxes = np.asarray(photo.boxes, np.float32)
            self._inputs |= {(photo.image_id, box.tobytes()): x for box, x in zip(boxes, photo.inputs, strict=True)}

    def read_again(self, image_ids: np.ndarray) -> None:
        """Only for the time that it takes: a build reads the photos that it learns from."""
        for _ in self._one_crop.run_ahead(image_ids.tolist(), photos_ahead=32):
            pass

    def patches(self, activations: ActivationSet, rows: np.ndarray, map_size: tuple[int, int], side: int) -> np.ndarray:
        """(len(rows), side, side, 3) uint8 around the activations, shifted inwards at an edge."""
        found = np.empty((len(rows), side, side, 3), np.uint8)
        for slot, row in enumerate(rows):
            crop = self._inputs[int(activations.image_ids[row]), activations.boxes[row].astype(np.float32).tobytes()]
            position = tuple(activations.positions[row].tolist())
            left, top, right, bottom = patch_box(position, side, map_size, self._input_px)
            found[slot] = crop[top:bottom, left:right]
        return found


def is_learning_photo(image_ids: np.ndarray) -> np.ndarray:
    """Photos that a prior or decoder may learn from; all the others judge."""
    return image_ids % 2 == 0


@dataclass(frozen=True)
class Bench:
    """One layer, its cells, and where patches of its activations come from."""

    network: Network
    layer: str
    activations: ActivationSet
    cells: Cells
    crops: Crops
    side: int = 80

    @cached_property
    def map_size(self) -> tuple[int, int]:
        return self.network.layer(self.layer).shape[1:]

    def patches(self, rows: np.ndarray) -> np.ndarray:
        return self.crops.patches(self.activations, rows, self.map_size, self.side)

    def learn(
        self, rows: np.ndarray, mean: np.ndarray, colour: ColourStatistics, settings: InversionSettings
    ) -> Expectation:
        """From patches around the first of these activations, as a build does: photos are read again for it."""
        rows = rows[: settings.learning_patches]
        photos = self.activations.image_ids[rows]
        self.crops.read_again(np.unique(photos))
        vectors, patches = self.activations.vectors[rows], self.patches(rows)
        return learn_expectation(self.network, self.layer, vectors, patches, photos, mean, colour, settings)

    def judging_rows(self, rng: np.random.Generator) -> list[np.ndarray]:
        """For each cell up to 17 members in random order, one a judging photo; the last is no part of a signature."""
        drawn = []
        for k in range(len(self.cells)):
            rows = rng.permutation(self.cells.members(k))
            ids = self.activations.image_ids[rows]
            rows, ids = rows[~is_learning_photo(ids)], ids[~is_learning_photo(ids)]
            _, first = np.unique(ids, return_index=True)
            drawn.append(rows[np.sort(first)][: SIGNATURE_PATCHES + 1])
        return drawn


class SecondOpinion:
    """Shares of other cells whose signature is less similar to an icon than its own cell's."""

    def __init__(self, bench: Bench, other: Network, seed: int = 0):
        self._network, self._layer = other, counterpart(bench.network, bench.layer, other)
        drawn = bench.judging_rows(np.random.default_rng(seed))
        self.cells = np.array([k for k, rows in enumerate(drawn) if len(rows) >= 2])
        parts, spare = [], []
        for k in self.cells:
            parts.append(drawn[k][:-1])
            spare.append(drawn[k][-1])
        answers = measure_icons(other, self._layer, bench.patches(np.concatenate(parts)))
        bounds = np.cumsum([len(part) for part in parts])[:-1]
        self._signatures = np.stack([part.mean(axis=0) for part in np.split(answers, bounds)])
        self._mean = self._signatures.mean(axis=0)
        one_more = measure_icons(other, self._layer, bench.patches(np.array(spare)))
        self.real_patch = float(self._shares(one_more, np.arange(len(self.cells))).mean())

    def of(self, icons: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Share in [0, 1] of each icon (n, S, S, 3) of these `cells` (n,) that has a signature."""
        has_signature = np.isin(cells, self.cells)
        rows = np.searchsorted(self.cells, cells[has_signature])
        return self._shares(measure_icons(self._network, self._layer, icons[has_signature]), rows)

    def _shares(self, answers: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """rows: of the signatures, each answer's own."""
        similar = _unit(answers - self._mean) @ _unit(self._signatures - self._mean).T
        own = similar[np.arange(len(rows)), rows]
        return (similar < own[:, None]).sum(axis=1) / (len(self._signatures) - 1)


class Naturalness:
    """How far icons are from real patches, at three depths of a network that took no part; 0 is not told apart."""

    def __init__(self, bench: Bench, other: Network, count: int = 1500, seed: int = 1):
        self._network = other
        rng = np.random.default_rng(seed)
        judging = np.flatnonzero(~is_learning_photo(bench.activations.image_ids))
        rows = rng.permutation(judging)[: 2 * count]
        self._real = self._means(bench.patches(rows[:count]))
        others = self._means(bench.patches(rows[count:][: len(bench.cells)]))
        self.floor = self._distances(others)

    def of(self, icons: np.ndarray) -> tuple[float, ...]:
        return self._distances(self._means(icons))

    def _means(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, list] = {layer: [] for layer in JUDGES}
        with torch.no_grad():
            for batch in as_pixels(pictures).split(_BATCH):
                maps = self._network.activations(self._network.normalize(batch), list(JUDGES))
                for layer in JUDGES:
                    found[layer].append(maps[layer].mean(dim=(2, 3)))
        return {layer: torch.cat(parts).numpy().astype(np.float64) for layer, parts in found.items()}

    def _distances(self, means: dict[str, np.ndarray]) -> tuple[float, ...]:
        distances = []
        for layer in JUDGES:
            real = self._real[layer]
            sd = real.std(axis=0)
            distances.append(np.mean(np.abs(means[layer].mean(axis=0) - real.mean(axis=0)) / (sd + 0.05 * sd.max())))
        return tuple(float(d) for d in distances)


def counterpart(network: Network, layer: str, other: Network) -> str:
    """The layer of `other` of the same stride and nearest relative depth, after the same kind of non-linearity."""
    kind = layer.rsplit(".", 1)[-1]
    depth = {info.name: i / len(network.layers) for i, info in enumerate(network.layers)}[layer]
    stride = network.layer(layer).stride
    depths = {
        info.name: i / len(other.layers)
        for i, info in enumerate(other.layers)
        if info.stride == stride and info.name.endswith(kind)
    }
    return min(depths, key=lambda name: abs(depths[name] - depth))


def highest_correlation(icons: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """(K,) the highest correlation of pixels (all colours, each picture less its mean) with any of the patches."""
    highest = np.full(len(icons), -1.0)
    flat = _unit(_centred(icons))
    for start in range(0, len(patches), 2048):
        highest = np.maximum(highest, (flat @ _unit(_centred(patches[start : start + 2048])).T).max(axis=1))
    return highest


def as_pixels(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255


def sheet(rows: Sequence[np.ndarray], gap: int = 4) -> np.ndarray:
    """Rows of equally many icons, one above the other."""
    side = rows[0].shape[1]
    picture = np.full((len(rows) * (side + gap) - gap, len(rows[0]) * (side + gap) - gap, 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, icon in enumerate(row):
            picture[r * (side + gap) :, c * (side + gap) :][:side, :side] = icon
    return picture


def _centred(pictures: np.ndarray) -> np.ndarray:
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    return flat - flat.mean(axis=1, keepdims=True)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
