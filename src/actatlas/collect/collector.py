"""Photos through the network, shard by shard. A shard depends on its number alone, not on its neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from actatlas.collect.agreement import as_collected
from actatlas.collect.attribution import GRADIENTS, attribute
from actatlas.collect.decoding import Decoder, Prepared
from actatlas.collect.pilot import Pilot, to_pixels
from actatlas.collect.sampling import Box, inner_positions, lots_of, map_index
from actatlas.collect.settings import CollectSettings
from actatlas.networks import kept_memory
from actatlas.values import ActivationSet, AttributionMethod, ImageSource

if TYPE_CHECKING:
    from actatlas.networks import Network, Recording

_FLOAT16_MAX = float(np.finfo(np.float16).max)
_TOP = 5
# On a processor with memory kept; in float32, 16 inputs at once were a third faster than 4, and 32 no faster than 16.
_CPU_BATCH_BYTES = 64  # inputs at once times bytes a number
_GPU_BATCH = 64


@dataclass(frozen=True)
class Predictions:
    """The logits' top 5 of each input (photo, or crop of one).

    crop_image_ids: (M,) int64; boxes: (M, 4) float32; classes: (M, ≤ 5) int32, best first; logits: the same, float32
    """

    crop_image_ids: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True)
class Shard:
    """The activations of up to `shard_images` photos. All layers share rows: photo, then crop, then position.

    skipped: image id → why the photo gave no activations
    """

    activations: Mapping[str, ActivationSet]
    predictions: Predictions | None
    skipped: Mapping[int, str]


class Collector:
    """Streams activations; memory does not grow with the number of photos.

    starts: the first id of each lot of photos that came later; a shard holds photos of one lot
    """

    def __init__(
        self,
        network: Network,
        source: ImageSource,
        layers: Sequence[str],
        settings: CollectSettings,
        pilot: Pilot,
        starts: Sequence[int] = (0,),
    ):
        self._layers = list(layers)
        self._network = as_collected(network, self._layers, pilot, settings.attribution)
        self._settings = settings
        self._pilot = pilot
        self._starts = tuple(starts)
        size = settings.shard_images
        lots = lots_of(source, settings.seed, starts)
        self._shards = [lot[first : first + size] for lot in lots for first in range(0, len(lot), size)]
        self._decoder = Decoder(source, network.preprocessing, settings)
        self._has_logits = network.class_count is not None
        self._batch_size = settings.batch_size or usual_batch(self._network)

    @property
    def shard_count(self) -> int:
        return len(self._shards)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self._layers)

    @property
    def asked(self) -> tuple[tuple[str, ...], CollectSettings, Pilot, tuple[int, ...]]:
        """What another process makes the same collector from, beside the network and the photos."""
        return self.layers, self._settings, self._pilot, self._starts

    def image_ids(self, index: int) -> np.ndarray:
        """The ids of one shard's photos, in order."""
        return self._shards[index]

    def shards(
        self, missing: Iterable[int] | None = None, on_photos: Callable[[int], None] = lambda count: None
    ) -> Iterator[tuple[int, Shard]]:
        """The shards of these numbers (default: all), in the order given. Decoding runs ahead, across their borders.

        on_photos: told how many more photos are done, batch by batch: a shard can take minutes
        Closing the iterator stops the decoding threads.
        """
        indices = list(range(self.shard_count) if missing is None else missing)
        image_ids = (int(i) for index in indices for i in self.image_ids(index))
        # Enough for the network never to wait: what two batches need while a third is computed.
        photos_ahead = max(3 * self._batch_size // self._settings.crops_per_photo, 4)
        with kept_memory(), closing(self._decoder.run_ahead(image_ids, photos_ahead)) as photos:
            for index in indices:
                yield index, self._collect(photos, len(self.image_ids(index)), on_photos)

    def _collect(self, photos: Iterator[Prepared], photo_count: int, on_photos: Callable[[int], None]) -> Shard:
        rows, inputs_done, told = _Rows(photo_count * self._settings.crops_per_photo), 0, 0
        for inputs, slots in self._batches(photos, photo_count, rows.skipped):
            self._pass(inputs, slots, rows)
            inputs_done += len(slots)
            done = inputs_done // self._settings.crops_per_photo
            on_photos(done - told)
            told = done
        return self._shard(rows)

    def _batches(
        self, photos: Iterator[Prepared], photo_count: int, skipped: dict[int, str]
    ) -> Iterator[tuple[np.ndarray, list[_Slot]]]:
        """Batches of fixed members: a bad photo's input stays, as zeros, so the others' numbers do not change.

        Each is of the same size, the last filled up with zeros behind its slots: numbers may depend on the size too.
        """
        crops, size = self._settings.crops_per_photo, self._batch_size
        shape = (*self._network.preprocessing.input_px, self._network.preprocessing.channel_count)
        left = photo_count * crops
        slots: list[_Slot] = []
        inputs = np.zeros((size, *shape), np.uint8)
        for _ in range(photo_count):
            photo = next(photos)
            if photo.reason is not None:
                skipped[photo.image_id] = photo.reason
            for crop in range(crops):
                if photo.reason is None:
                    inputs[len(slots)] = photo.inputs[crop]
                box = photo.boxes[crop] if photo.reason is None else (0.0, 0.0, 1.0, 1.0)
                slots.append(_Slot(photo.image_id, crop, box))
                if len(slots) == min(size, left):
                    yield inputs, slots
                    left -= len(slots)
                    inputs, slots = np.zeros_like(inputs), []

    def _pass(self, inputs: np.ndarray, slots: list[_Slot], rows: _Rows) -> None:
        """One batch through the network; its rows, bad photos' included, are added to `rows`."""
        network, settings, count = self._network, self._settings, len(slots)
        sizes = self._pilot.placing_sizes
        positions = np.stack(
            [inner_positions(sizes, settings.positions, settings.seed, slot.image_id, slot.crop) for slot in slots]
        )  # (slots, K, 2)
        with_logits = self._has_logits and (settings.attribution is not None or settings.predictions)
        # Forward-mode derivatives need tensors that inference mode does not make.
        with torch.inference_mode() if settings.attribution is None else torch.no_grad():
            batch = network.normalize(to_pixels(inputs).to(network.device))
            by_gradient = settings.attribution in GRADIENTS
            recording = network.record(batch, self._layers, for_derivatives=by_gradient) if with_logits else None
            maps = recording.maps if recording else network.activations(batch, self._layers)
            rows.add_places(slots, positions)
            for layer in self._layers:
                rows.add_vectors(layer, _at(maps[layer][:count], map_index(positions, self._pilot.map_sizes[layer])))
            if recording and recording.logits is not None:
                rows.add_top(recording.logits[:count])
            if recording and settings.attribution is not None:
                of_inputs = positions[np.arange(len(inputs)).clip(max=count - 1)]  # any will do behind the slots
                for layer in self._layers:
                    found = attributions_at(recording, layer, of_inputs, settings.attribution, self._pilot)
                    rows.add_attributions(layer, found[:count])

    def _shard(self, rows: _Rows) -> Shard:
        crop_ids = np.array([slot.image_id for slot in rows.slots], np.int64)
        boxes = np.array([slot.box for slot in rows.slots], np.float32).reshape(-1, 4)
        is_good = ~np.isin(crop_ids, np.fromiter(rows.skipped, np.int64, len(rows.skipped)))
        count = self._settings.positions

        def flat(values: np.ndarray) -> np.ndarray:
            kept = values if is_good.all() else values[is_good]  # (M, K, …)
            return kept.reshape(-1, *kept.shape[2:])

        places = {
            "image_ids": np.repeat(crop_ids[is_good], count),
            "positions": flat(np.concatenate(rows.positions)),
            "boxes": np.repeat(boxes[is_good], count, axis=0),
        }
        activations = {
            layer: ActivationSet(
                vectors=flat(rows.vectors[layer]),
                attributions=flat(rows.attributions[layer]) if layer in rows.attributions else None,
                **places,
            )
            for layer in self._layers
        }
        predictions = None
        if rows.top:
            classes, logits = (np.concatenate(part)[is_good] for part in zip(*rows.top, strict=True))
            predictions = Predictions(crop_ids[is_good], boxes[is_good], classes, logits)
        return Shard(activations, predictions, dict(sorted(rows.skipped.items())))


def usual_batch(network: Network) -> int:
    """Inputs at once."""
    return _CPU_BATCH_BYTES // network.dtype.itemsize if network.device.type == "cpu" else _GPU_BATCH


def attributions_at(
    recording: Recording, layer: str, positions: np.ndarray, method: AttributionMethod, pilot: Pilot
) -> np.ndarray:
    """(B, K, classes) float32, at the positions (B, K, 2)."""
    baseline, window = torch.from_numpy(pilot.baselines[layer]), pilot.windows[layer]
    places = torch.from_numpy(positions)
    found = [attribute(recording, layer, places[:, k], method, baseline, window) for k in range(places.shape[1])]
    return torch.stack(found, dim=1).cpu().numpy()


@dataclass(frozen=True)
class _Slot:
    """One input of a batch."""

    image_id: int
    crop: int
    box: Box


@dataclass
class _Rows:
    """One shard while it grows: all slots, bad ones too. K positions an input.

    input_count: slots that there will be
    vectors, attributions: layer → (inputs, K, C or classes) float16; of many crops gigabytes, so they are there once
    top: parts (classes (B, ≤ 5) int32, logits (B, ≤ 5) float32)
    skipped: a photo of which any number is not finite is left out whole, all crops and layers
    """

    input_count: int
    slots: list[_Slot] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    attributions: dict[str, np.ndarray] = field(default_factory=dict)
    top: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)

    def add_places(self, slots: list[_Slot], positions: np.ndarray) -> None:
        """First of a batch: what is added next belongs to these slots."""
        self.slots.extend(slots)
        self.positions.append(positions)

    def add_vectors(self, layer: str, vectors: np.ndarray) -> None:
        self._skip_not_finite(vectors, f'activations in layer "{layer}"')
        self._put(self.vectors, layer, vectors)

    def add_attributions(self, layer: str, attributions: np.ndarray) -> None:
        self._skip_not_finite(attributions, f'attributions of layer "{layer}"')
        self._put(self.attributions, layer, attributions)

    def add_top(self, logits: torch.Tensor) -> None:
        values, classes = logits.float().topk(min(_TOP, logits.shape[1]), dim=1)
        self._skip_not_finite(values.cpu().numpy(), "logits")
        self.top.append((classes.cpu().numpy().astype(np.int32), values.cpu().numpy()))

    def _put(self, store: dict[str, np.ndarray], layer: str, values: np.ndarray) -> None:
        """values (B, …) of the batch that was added last."""
        if layer not in store:
            store[layer] = np.empty((self.input_count, *values.shape[1:]), np.float16)
        store[layer][len(self.slots) - len(values) : len(self.slots)] = clipped(values)

    def _skip_not_finite(self, values: np.ndarray, what: str) -> None:
        """values (B, …) of the batch that was added last."""
        is_bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        for slot in itertools.compress(self.slots[-len(values) :], is_bad):
            self.skipped.setdefault(slot.image_id, f"the network gives {what} that are not finite")


def _at(maps: torch.Tensor, index: np.ndarray) -> np.ndarray:
    """maps (B, C, H, W) at index (B, K, 2) → (B, K, C) float32."""
    place = torch.from_numpy(index).to(maps.device)
    inputs = torch.arange(len(maps), device=maps.device)[:, None]
    return maps[inputs, :, place[..., 0], place[..., 1]].float().cpu().numpy()


def clipped(values: np.ndarray) -> np.ndarray:
    """float16; what is beyond its range becomes its largest number, ± 65,504."""
    return np.clip(values, -_FLOAT16_MAX, _FLOAT16_MAX).astype(np.float16)
