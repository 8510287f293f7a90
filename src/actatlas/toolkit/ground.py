"""What pictures of one layer stand on: its mean, the photos' colours, what photos look like, and their activations.

An atlas has all that. With a network alone it is learnt from a few hundred photos, in half a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from actatlas.atlas import Layer
from actatlas.bands import Bands, shown
from actatlas.collect import Pilot
from actatlas.inversion import InversionSettings, learn_expectation, side_px
from actatlas.networks import Network
from actatlas.preprocessing import patch_box
from actatlas.progress import Progress
from actatlas.records import read_expectation, read_pilot
from actatlas.toolkit.photos import Inputs
from actatlas.values import ColourStatistics, Expectation

_PLACES = 6  # of each input
_STEP = 4096  # rows whose scores are computed at once


@dataclass(frozen=True)
class Ground:
    """One layer, or one position of its map, over some photos.

    mean: (C,) float32; colour, expectation: of the photos, as inversion has them
    parts: activations (n, C) float16, part by part; image_ids: (N,) of all of them
    patches: of some rows of these the parts of photos that they answer to, RGB
    position: row and column of the map, or None for the layer wherever it is
    size_px: side of its pictures; patch_px: of what one activation answers to; told: which photos, for people
    """

    network: Network
    layer: str
    mean: np.ndarray
    colour: ColourStatistics
    expectation: Expectation | None
    parts: Callable[[], Iterator[np.ndarray]]
    image_ids: np.ndarray
    patches: Callable[[Sequence[int]], list[Image.Image]]
    position: tuple[int, int] | None
    size_px: int
    patch_px: int
    told: str

    @property
    def channel_count(self) -> int:
        return len(self.mean)

    @property
    def photo_count(self) -> int:
        return len(np.unique(self.image_ids))

    def scores(self, direction: np.ndarray) -> np.ndarray:
        """(N,) float32: the part of every activation along `direction` (C,), of length 1."""
        found = [
            part[start : start + _STEP].astype(np.float32) @ direction
            for part in self.parts()
            for start in range(0, len(part), _STEP)
        ]
        return np.concatenate(found)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """(n, C) float32 of some rows."""
        order = np.argsort(rows, kind="stable")
        found = np.empty((len(rows), self.channel_count), np.float32)
        start = 0
        for part in self.parts():
            here = order[(rows[order] >= start) & (rows[order] < start + len(part))]
            found[here] = part[rows[here] - start]
            start += len(part)
        return found

    def strongest(self, scores: np.ndarray, count: int) -> np.ndarray:
        """Rows of the highest scores (N,), one a photo, highest first."""
        rows = np.argsort(-scores, kind="stable")
        _, first = np.unique(self.image_ids[rows], return_index=True)
        return rows[np.sort(first)][:count]


def ground_of_layer(layer: Layer, network: Network) -> Ground:
    """From an atlas that carries activations and photos. Raises PlanChanged for a network with other weights."""
    atlas = layer.atlas
    atlas.require_weights(network.spec, network.weights_sha256)
    used = atlas.image_counts["used"]
    return Ground(
        network=network, layer=layer.name, mean=layer.mean, colour=read_pilot(atlas.files).colour,
        expectation=read_expectation(atlas.files, layer.name),
        parts=lambda: (part.vectors for part in layer.read_shards()),
        image_ids=layer.places.image_ids,
        patches=lambda rows: layer.patches(np.asarray(rows, np.int64)),
        position=None, size_px=layer.icon_px, patch_px=layer.patch_px,
        told=f"{layer.activation_count:,} activations of the atlas's {used:,} photos",
    )  # fmt: skip


def ground_of_photos(inputs: Inputs, layer: str, seed: int, progress: Progress) -> Ground:
    """From photos alone: activations at random inner places of each, and the patches around them."""
    pilot, maps = inputs.pilot(layer, progress), inputs.maps(layer, progress)
    size_px = side_px(inputs.network, layer, InversionSettings().size_px)
    owners, places = _random_places(len(maps), maps.shape[2:], seed)
    vectors = maps[owners, :, places[:, 0], places[:, 1]]
    cutter = _Cutter(inputs, owners, places, maps.shape[2:])
    count = min(InversionSettings().learning_patches, len(owners))
    learning = np.random.default_rng(seed).choice(len(owners), count, replace=False)
    patches = [cutter.cut(int(row), size_px) for row in learning]
    return _learnt(inputs, layer, vectors, cutter, pilot, (learning, patches), None, size_px, progress)


def ground_of_position(
    inputs: Inputs, layer: str, position: tuple[int, int], size_px: int, progress: Progress
) -> Ground:
    """One position of every input; what is learnt is what whole inputs look like. size_px: of the pictures"""
    pilot, maps = inputs.pilot(layer, progress), inputs.maps(layer, progress)
    owners = np.arange(len(maps))
    cutter = _Cutter(inputs, owners, np.repeat([position], len(maps), axis=0), maps.shape[2:])
    vectors = maps[:, :, position[0], position[1]]
    whole = [inputs.picture(i).resize((size_px, size_px), Image.Resampling.BICUBIC) for i in range(len(inputs))]
    at = None if maps.shape[2:] == (1, 1) else position
    return _learnt(inputs, layer, vectors, cutter, pilot, (owners, whole), at, size_px, progress)


class _Cutter:
    """Cuts patches around activations out of inputs. places: (N, 2) rows and columns of the map"""

    def __init__(self, inputs: Inputs, owners: np.ndarray, places: np.ndarray, map_size: Sequence[int]):
        self.owners = owners
        self._inputs, self._centres, self._map_size = inputs, (places + 0.5) / np.array(map_size), map_size

    def cut(self, row: int, side: int) -> Image.Image | Bands:
        input_px = self._inputs.network.preprocessing.input_px
        (down, across), (height, width) = self._centres[row].tolist(), self._map_size
        box = patch_box((down, across), side, (height, width), input_px)
        return self._inputs.picture(int(self.owners[row])).crop(box)


def _random_places(count: int, map_size: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) which input, and (N, 2) row and column, off the map's border where it has an inside."""
    low = [int(n >= 3) for n in map_size]
    inside = [n - 2 * edge for n, edge in zip(map_size, low, strict=True)]
    random, each = np.random.default_rng(seed), min(_PLACES, inside[0] * inside[1])
    chosen = np.concatenate([random.choice(inside[0] * inside[1], each, replace=False) for _ in range(count)])
    places = np.stack(np.unravel_index(chosen, inside), axis=1) + low
    return np.repeat(np.arange(count), each), places


def _learnt(
    inputs: Inputs,
    layer: str,
    vectors: np.ndarray,
    cutter: _Cutter,
    pilot: Pilot,
    learning: tuple[np.ndarray, list[Image.Image | Bands]],
    position: tuple[int, int] | None,
    size_px: int,
    progress: Progress,
) -> Ground:
    """vectors: (N, C); learning: which of them, and what is to be seen around each"""
    network, (rows, pictures) = inputs.network, learning
    mean = vectors.astype(np.float32).mean(axis=0)
    image_ids, patch_px = inputs.image_ids[cutter.owners], pilot.patch_px[layer]
    patches = np.stack([np.asarray(picture).reshape(picture.height, picture.width, -1) for picture in pictures])
    with progress.stage("Learning what photos look like", len(rows), "patches") as tick:
        expectation = learn_expectation(
            network, layer, vectors[rows], patches, image_ids[rows], mean, pilot.colour, InversionSettings()
        )
        tick(len(rows))
    return Ground(
        network, layer, mean, pilot.colour, expectation, lambda: iter([vectors]), image_ids,
        lambda wanted: [shown(cutter.cut(int(row), patch_px)).convert("RGB") for row in wanted],
        position, size_px, patch_px,
        f"{len(vectors):,} activations of {inputs.told}",
    )  # fmt: skip
