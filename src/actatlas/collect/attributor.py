"""Attributions of some of an atlas's activations: their photos are read again, and run as they were at collecting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from actatlas.collect.agreement import as_collected
from actatlas.collect.attribution import GRADIENTS
from actatlas.collect.collector import attributions_at, clipped, usual_batch
from actatlas.collect.decoding import Decoder, Prepared
from actatlas.collect.pilot import Pilot, to_pixels
from actatlas.collect.settings import CollectSettings
from actatlas.errors import UnreadableImage
from actatlas.networks import kept_memory
from actatlas.values import ActivationSet, ImageSource

if TYPE_CHECKING:
    from actatlas.networks import Network


@dataclass(frozen=True)
class Attributed:
    """Some activations of one layer that carry attributions.

    rows: (n,) int64, of all activations that were collected
    attributions: (n, classes) float16
    failed: (m,) int64, rows whose attributions are not finite: these carry none
    """

    rows: np.ndarray
    attributions: np.ndarray
    failed: np.ndarray


class Attributor:
    """Runs what is wanted, a fixed number of photos in one unit; memory does not grow with the number of photos."""

    def __init__(
        self, network: Network, source: ImageSource, layers: Sequence[str], settings: CollectSettings, pilot: Pilot
    ):
        assert settings.attribution is not None  # what is asked for here
        self._layers = list(layers)
        self._source, self._settings, self._pilot, self._method = source, settings, pilot, settings.attribution
        self._network = as_collected(network, self._layers, pilot, self._method)
        self._decoder = Decoder(source, network.preprocessing, settings)
        self._batch_size = settings.batch_size or usual_batch(self._network)

    def inputs(self, wanted: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) the photos, or crops of photos, that have to be run, by number, ascending."""
        return np.unique(np.concatenate([np.unique(rows // self._settings.positions) for rows in wanted.values()]))

    def units(
        self,
        wanted: Mapping[str, np.ndarray],
        places: ActivationSet,
        on_inputs: Callable[[int], None] = lambda count: None,
    ) -> Iterator[dict[str, Attributed]]:
        """{layer: its wanted rows in the unit's photos}, unit by unit, in the order of the rows.

        wanted: {layer: rows, ascending}; places: of all rows, as they were collected
        on_inputs: told how many more inputs are done, batch by batch
        Raises UnreadableImage where a photo is gone.
        """
        crops_per_photo = self._settings.crops_per_photo
        inputs = self.inputs(wanted)
        photos, first = np.unique(inputs // crops_per_photo, return_index=True)
        ends = np.append(first[1:], len(inputs))
        crops = ((inputs[a:b] % crops_per_photo).tolist() for a, b in zip(first, ends, strict=True))
        image_ids = places.image_ids[photos * crops_per_photo * self._settings.positions]
        photos_ahead = max(3 * self._batch_size, 4)
        ahead = self._decoder.run_ahead(image_ids.tolist(), photos_ahead, crops)
        with kept_memory(), closing(ahead) as prepared:
            for start in range(0, len(photos), self._settings.shard_images):
                end = min(start + self._settings.shard_images, len(photos))
                of_unit = inputs[first[start] : ends[end - 1]]
                yield self._attribute(of_unit, self._pixels(prepared, end - start), wanted, places, on_inputs)

    def _pixels(self, prepared: Iterator[Prepared], photo_count: int) -> Iterator[np.ndarray]:
        """The next photos' inputs, one by one: (H, W, channels) uint8."""
        for _ in range(photo_count):
            photo = next(prepared)
            if photo.reason is not None:
                path = self._source.records[photo.image_id].path
                raise UnreadableImage(
                    f"{path} cannot be read again ({photo.reason}); put it back where it was and run the same command"
                )
            yield from photo.inputs

    def _attribute(
        self,
        inputs: np.ndarray,
        pixels: Iterator[np.ndarray],
        wanted: Mapping[str, np.ndarray],
        places: ActivationSet,
        on_inputs: Callable[[int], None],
    ) -> dict[str, Attributed]:
        """One unit, in batches of fixed members."""
        parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {layer: [] for layer in self._layers}
        for start in range(0, len(inputs), self._batch_size):
            batch = inputs[start : start + self._batch_size]
            for layer, part in self._pass(np.stack([next(pixels) for _ in batch]), batch, wanted, places).items():
                parts[layer].append(part)
            on_inputs(len(batch))
        nothing = np.empty(0, np.int64), np.empty((0, self._network.class_count or 0), np.float32)
        return {layer: _told_apart([nothing, *parts[layer]]) for layer in self._layers}

    def _pass(
        self, pixels: np.ndarray, inputs: np.ndarray, wanted: Mapping[str, np.ndarray], places: ActivationSet
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Of one batch: {layer: rows (n,), their attributions (n, classes) float32}."""
        network, found = self._network, {}
        with torch.no_grad():
            batch = network.normalize(to_pixels(pixels).to(network.device))
            recording = network.record(batch, self._layers, for_derivatives=self._method in GRADIENTS)
            for layer in self._layers:
                rows, slots, turns = self._turns(wanted[layer], inputs)
                # Where an input has fewer wanted rows than another, something is computed that nobody looks at.
                positions = np.full((len(inputs), int(turns.max(initial=-1)) + 1, 2), 0.5, np.float32)
                positions[slots, turns] = places.positions[rows]
                if len(rows):
                    values = attributions_at(recording, layer, positions, self._method, self._pilot)[slots, turns]
                    found[layer] = rows, values
        return found

    def _turns(self, rows: np.ndarray, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the ascending `rows` those of `inputs`; for each its input's place in the batch, and which of its rows."""
        count = self._settings.positions
        starts, ends = np.searchsorted(rows, inputs * count), np.searchsorted(rows, (inputs + 1) * count)
        slots = np.repeat(np.arange(len(inputs)), ends - starts)
        turns = np.concatenate([np.arange(n) for n in ends - starts])
        return np.concatenate([rows[a:b] for a, b in zip(starts, ends, strict=True)]), slots, turns


def _told_apart(parts: list[tuple[np.ndarray, np.ndarray]]) -> Attributed:
    """Those that are finite, and those that are not."""
    rows, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    is_finite = np.isfinite(values).all(axis=1)
    return Attributed(rows[is_finite], clipped(values[is_finite]), rows[~is_finite])
