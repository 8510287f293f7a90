"""Directions of a layer → pictures, in batches, on all cores or devices at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
import torch

from actatlas.errors import NetworkError
from actatlas.inversion.easel import Aim, Easel, Scene
from actatlas.inversion.expectation import Looks
from actatlas.inversion.fidelity import measure_icons
from actatlas.inversion.settings import MOST_PX, InversionSettings
from actatlas.inversion.sheet import Sheet
from actatlas.networks import Network, lightened, plain_paths
from actatlas.values import ColourStatistics, Expectation

_SMALLER_RATE = 0.25  # of the rate, for a picture that went astray
_MOST_SURROUNDINGS = 7.0  # beyond, nothing but wallpaper is left
_MOST_EASELS = 4  # on one processor: a round has no more batches
_ON_GPU = 4  # times as large a batch
_LEAST_ACROSS = 3  # positions, of an icon in a fixed input

Done = TypeVar("Done")


class Renderer:
    """All that pictures of one layer share.

    layer, channel_count: the layer's name and its channels
    picture_shape: (S, S, channels) of what `paint` gives
    """

    def __init__(
        self,
        network: Network,
        layer: str,
        mean: np.ndarray,
        colour: ColourStatistics,
        settings: InversionSettings,
        expectation: Expectation | None = None,
        *,
        position: tuple[int, int] | None = None,
        easel_count: int = 0,
    ):
        """position: row and column of the map where answers are read; None reads them at the centre

        easel_count: batches at once; 0 for all cores or devices
        """
        self.layer, self._position = layer, position
        self._network, self._settings = network, settings
        side, info = side_px(network, layer, settings.size_px), network.layer(layer)
        is_expected = expectation and settings.likeness > 0 and _is_of_size(expectation, network, side, colour)
        self._expectation = expectation if is_expected else None
        self.channel_count = info.shape[0]
        field_share = (side / max(info.receptive_field_px, 1)) ** 2
        scene = Scene(
            layer, mean, colour, settings, self._expectation,
            side=side,
            enlarged_px=side if position else enlarged_px(network, layer, side, settings.enlarged),
            shift_px=min(settings.shift_px, side // 16) if 4 * settings.shift_px <= info.stride else 0,
            channel_count=network.preprocessing.channel_count,
            surroundings=0.0 if position else min(settings.surroundings * field_share, _MOST_SURROUNDINGS),
            position=position,
        )  # fmt: skip
        self.picture_shape = (scene.side, scene.side, max(scene.channel_count, 3))
        light = lightened(network, [layer, *(self._expectation.layers if self._expectation else ())])
        devices = _devices(network.device)[: easel_count or None]
        self._threads_each = max(1, torch.get_num_threads() // len(devices))
        self._easels = [Easel(light.sharing_weights(device), scene) for device in devices]
        self._batch_size = settings.batch_size * (1 if network.device.type == "cpu" else _ON_GPU)

    @property
    def no_correction(self) -> np.ndarray:
        return np.zeros(len(self._expectation.offset) if self._expectation else 0, np.float32)

    def paint(
        self,
        centred: np.ndarray,
        keys: np.ndarray,
        steps: int,
        start: np.ndarray | None,
        rivals: np.ndarray | None,
        correction: np.ndarray,
        contrast: float | None = None,
        pulls: np.ndarray | None = None,
    ) -> np.ndarray:
        """(n, S, S, channels) uint8 of what a `Sheet` of these asks for."""
        return self.paint_sheet(Sheet(centred, keys, steps, start, rivals, correction, contrast, pulls))

    def paint_sheet(self, sheet: Sheet) -> np.ndarray:
        """(n, S, S, channels) uint8.

        What a picture becomes depends on nothing but the sheet. One that ends pointing away from its target, and more
        so than it began, or where the layer answers with NaN or infinity, is painted once more, slower; NetworkError
        for lasting NaN.
        """
        pictures = np.empty((len(sheet), *self.picture_shape), np.uint8)
        batches = self.batches(len(sheet))
        for rows, painted in zip(batches, self.paint_batches(sheet, batches), strict=True):
            pictures[rows] = painted
        return pictures

    def paint_batches(self, sheet: Sheet, batches: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """The pictures of each, in order: all easels are at work."""
        return self._spread(lambda easel, rows: self._painted(easel, sheet.of(rows)), batches)

    def paint_batch(self, batch: Sheet, threads: int) -> np.ndarray:
        """Those of one batch that was cut elsewhere. threads: as `threads_of` says of all the batches"""
        torch.set_num_threads(threads)
        return self._painted(self._easels[0], batch)

    def batches(self, count: int) -> list[np.ndarray]:
        """Rows of each batch: as many for every easel, but no more than are asked for."""
        size = min(self._batch_size, max(8, _eights(-(-count // len(self._easels)))))
        return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]

    def threads_of(self, batch_count: int) -> int:
        """Each of so many batches is painted by so many threads: it is part of the last bits."""
        return torch.get_num_threads() if len(self._easels) == 1 or batch_count < 2 else self._threads_each

    def _painted(self, easel: Easel, batch: Sheet) -> np.ndarray:
        pictures, first, last = self._drawn(easel, batch, self._settings.rate)
        again = np.flatnonzero(~(last > 0) & ~(last >= first))  # NaN is neither
        if len(again):
            pictures[again], _, last = self._drawn(easel, batch.of(again), self._settings.rate * _SMALLER_RATE)
            self._require_numbers(last)
        return pictures

    def _drawn(self, easel: Easel, batch: Sheet, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Its pictures, and their first and last cosines."""
        filled = batch.of(np.array(self._slots(len(batch))))
        pictures, first, last = easel.paint(self._aim(filled), filled.keys.tolist(), filled.steps, filled.start, rate)
        return pictures[: len(batch)], first[: len(batch)], last[: len(batch)]

    def answers(self, pictures: np.ndarray) -> np.ndarray:
        """(n, C) what the layer of the network itself, not of its light copy, answers to pictures (n, S, S, ch)."""
        return measure_icons(self._network, self.layer, pictures, self._position)

    def lacking(self, pictures: np.ndarray, centred: np.ndarray) -> np.ndarray:
        """(F,) by how much the pictures' looks exceed what is expected of their targets, on average."""
        if self._expectation is None:
            return self.no_correction
        found = np.empty((len(pictures), len(self.no_correction)), np.float32)
        batches = self.batches(len(pictures))

        def measure_batch(easel: Easel, rows: np.ndarray) -> np.ndarray:
            return easel.looks(pictures[rows[self._slots(len(rows))]])[: len(rows)]

        for rows, measured in zip(batches, self._spread(measure_batch, batches), strict=True):
            found[rows] = measured
        excess = found - self._expectation.looks(centred, self._settings.emphasis)
        return np.nan_to_num(excess.mean(axis=0), posinf=0.0, neginf=0.0).astype(np.float32)

    def _slots(self, count: int) -> list[int]:
        """A batch holds a multiple of 8: arithmetic depends, in its last bits, on how many pictures there are."""
        return [i if i < count else 0 for i in range(min(self._batch_size, _eights(count)))]

    def _aim(self, batch: Sheet) -> Aim:
        lengths = np.maximum(np.linalg.norm(batch.centred, axis=1, keepdims=True), 1e-12)
        contrast = self._settings.contrast if batch.contrast is None else batch.contrast
        looks = None
        if self._expectation:
            looks = self._expectation.looks(batch.centred, self._settings.emphasis) - batch.correction
        return Aim(batch.centred / lengths, batch.rivals if contrast > 0 else None, contrast, looks, batch.pulls)

    def _spread(self, work: Callable[[Easel, np.ndarray], Done], batches: Sequence[np.ndarray]) -> Iterator[Done]:
        """Each batch's rows on an easel that is free; in order. An error, or Ctrl-C, ends what has not begun."""
        if len(self._easels) == 1 or len(batches) < 2:
            for rows in batches:
                yield work(self._easels[0], rows)
            return
        free: SimpleQueue[Easel] = SimpleQueue()
        for easel in self._easels:
            free.put(easel)

        def take(rows: np.ndarray) -> Done:
            easel = free.get()
            try:
                return work(easel, rows)
            finally:
                free.put(easel)

        threads = torch.get_num_threads()
        torch.set_num_threads(self._threads_each)
        pool = ThreadPoolExecutor(len(self._easels), thread_name_prefix="easel")
        try:
            with plain_paths():  # once for all: each pass would set it back under the others
                yield from pool.map(take, batches)  # an error of any is raised here
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(threads)

    def _require_numbers(self, cosines: np.ndarray) -> None:
        """Raises NetworkError where a cosine is none."""
        if not np.isfinite(cosines).all():
            raise NetworkError(
                f'layer "{self.layer}" of {self._network.spec} answers with NaN or infinity while an icon is painted; '
                "check the network's weights, or choose another layer",
                layer=self.layer,
            )


def side_px(network: Network, layer: str, size_px: int) -> int:
    """Side of a layer's icons: as asked for, but no more than a fixed input or twice the input of any network.

    Where the layer has fewer than five positions across such an icon, the side becomes the next odd multiple of its
    stride, so that one position lies in the centre: 96 px in place of 80 at a stride of 32. A network with a fixed
    input sees the mean colour around an icon: it becomes three positions wide, or hardly counts (168 px at 56).
    """
    native, info = min(network.preprocessing.input_px), network.layer(layer)
    is_map = min(info.shape[1:]) >= 3
    if network.is_fixed_size:
        side = min(size_px, native)
        return max(side, min(_LEAST_ACROSS * info.stride, native, MOST_PX)) if is_map else side
    side = min(size_px, max(2 * native, 64))
    across = -(-side // info.stride)
    raised = (across + 1 - across % 2) * info.stride
    return raised if is_map and across < 5 and side < raised <= min(native, MOST_PX) else side


def enlarged_px(network: Network, layer: str, side: int, factor: float) -> int:
    """The side at which every second step sees a picture: the odd multiple of the layer's stride next to `factor` times
    its own, so that one position lies in the centre, but no more than the network's input.

    The picture's own side where that is less, or more than the layer sees at once: what it says of a texture it does
    not say of one twice as coarse.
    """
    info = network.layer(layer)
    enlarged = (2 * round((side * factor / info.stride - 1) / 2) + 1) * info.stride
    is_seen = side < enlarged <= min(info.receptive_field_px, *network.preprocessing.input_px)
    return enlarged if is_seen and factor > 1 else side


def _is_of_size(expectation: Expectation, network: Network, side: int, colour: ColourStatistics) -> bool:
    """Whether pictures of this side have looks as they were learnt: of very small ones deep layers have fewer parts."""
    channels = network.preprocessing.channel_count
    picture = torch.zeros(1, channels, side, side, device=network.device)
    counts = Looks(network, expectation.layers, colour, channels).group_counts(picture)
    return tuple(counts) == expectation.group_counts


def _devices(device: torch.device) -> list[torch.device]:
    """One easel each: all CUDA devices that are visible, or the cores of a processor in a few groups."""
    if device.type == "cuda":
        return [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    return [device] * (min(_MOST_EASELS, torch.get_num_threads()) if device.type == "cpu" else 1)


def _eights(count: int) -> int:
    return -(-count // 8) * 8
