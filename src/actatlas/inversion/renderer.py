"""Directions of a layer → pictures, in batches, on all cores or devices at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
import torch

from actatlas.errors import NetworkError
from actatlas.inversion.easel import Aim, Easel, Scene
from actatlas.inversion.settings import MOST_PX, InversionSettings
from actatlas.networks import Network, lightened, plain_paths
from actatlas.values import ColourStatistics, Expectation

_SMALLER_RATE = 0.25  # of the rate, for a picture that went astray
_MOST_SURROUNDINGS = 7.0  # beyond, nothing but wallpaper is left
_MOST_EASELS = 4  # on one processor: a round has no more batches
_ON_GPU = 4  # times as large a batch
_LEAST_ACROSS = 3  # positions, of an icon in a fixed input


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
    ):
        """position: row and column of the map where answers are read; None reads them at the centre"""
        self.layer = layer
        self._network, self._settings = network, settings
        self._expectation = expectation if settings.likeness > 0 else None
        side, info = side_px(network, layer, settings.size_px), network.layer(layer)
        self.channel_count = info.shape[0]
        field_share = (side / max(info.receptive_field_px, 1)) ** 2
        scene = Scene(
            layer, mean, colour, settings, self._expectation,
            side=side,
            shift_px=min(settings.shift_px, side // 16) if 4 * settings.shift_px <= info.stride else 0,
            channel_count=network.preprocessing.channel_count,
            surroundings=0.0 if position else min(settings.surroundings * field_share, _MOST_SURROUNDINGS),
            position=position,
        )  # fmt: skip
        self.picture_shape = (scene.side, scene.side, max(scene.channel_count, 3))
        light = lightened(network, [layer, *(self._expectation.layers if self._expectation else ())])
        devices = _devices(network.device)
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
        """(n, S, S, channels) uint8.

        centred: (n, C) targets less the layer's mean; keys: (n,) seeds
        start: (n, S', S', channels) uint8 pictures to begin with, or None for the prior's noise
        rivals: (n, R, C) directions that the answer is to be told from, the picture's own first, or None
        correction: (F,) is taken from the look that is expected
        contrast: in place of the settings'
        pulls: (n, C), what a unit of the answer beyond the layer's mean is worth, beside all that; None: nothing

        What a picture becomes depends on nothing but these. One that ends pointing away from its target, and more so
        than it began, or where the layer answers with NaN or infinity, is painted once more, slower; NetworkError for
        lasting NaN.
        """
        contrast = self._settings.contrast if contrast is None else contrast
        pictures = np.empty((len(centred), *self.picture_shape), np.uint8)

        def paint_batch(easel: Easel, rows: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
            """Pictures of these rows are set; gives their first and last cosines."""
            slots = rows[self._slots(len(rows))]
            aim = self._aim(centred[slots], _at(rivals, slots), correction, contrast, _at(pulls, slots))
            drawn, first, last = easel.paint(aim, keys[slots].tolist(), steps, _at(start, slots), rate)
            pictures[rows] = drawn[: len(rows)]
            return first[: len(rows)], last[: len(rows)]

        def paint_and_check(easel: Easel, rows: np.ndarray) -> None:
            first, last = paint_batch(easel, rows, self._settings.rate)
            again = rows[~(last > 0) & ~(last >= first)]  # NaN is neither
            if len(again):
                self._require_numbers(paint_batch(easel, again, self._settings.rate * _SMALLER_RATE)[1])

        self._spread(paint_and_check, self._batches(len(keys)))
        return pictures

    def answers(self, pictures: np.ndarray) -> np.ndarray:
        """(n, C) what the layer answers at the centre of each, nearly."""
        return self._measured(Easel.answers, pictures, self.channel_count)

    def lacking(self, pictures: np.ndarray, centred: np.ndarray) -> np.ndarray:
        """(F,) by how much the pictures' looks exceed what is expected of their targets, on average."""
        if self._expectation is None:
            return self.no_correction
        found = self._measured(Easel.looks, pictures, len(self.no_correction))
        excess = found - self._expectation.looks(centred, self._settings.emphasis)
        return np.nan_to_num(excess.mean(axis=0), posinf=0.0, neginf=0.0).astype(np.float32)

    def _measured(
        self, measure: Callable[[Easel, np.ndarray], np.ndarray], pictures: np.ndarray, number_count: int
    ) -> np.ndarray:
        """(n, number_count) of the pictures (n, S, S, channels), on all easels."""
        found = np.empty((len(pictures), number_count), np.float32)

        def measure_batch(easel: Easel, rows: np.ndarray) -> None:
            slots = rows[self._slots(len(rows))]
            found[rows] = measure(easel, pictures[slots])[: len(rows)]

        self._spread(measure_batch, self._batches(len(pictures)))
        return found

    def _batches(self, count: int) -> list[np.ndarray]:
        """Rows of each batch: as many for every easel, but no more than are asked for."""
        size = min(self._batch_size, max(8, _eights(-(-count // len(self._easels)))))
        return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]

    def _slots(self, count: int) -> list[int]:
        """A batch holds a multiple of 8: arithmetic depends, in its last bits, on how many pictures there are."""
        return [i if i < count else 0 for i in range(min(self._batch_size, _eights(count)))]

    def _aim(
        self,
        centred: np.ndarray,
        rivals: np.ndarray | None,
        correction: np.ndarray,
        contrast: float,
        pulls: np.ndarray | None,
    ) -> Aim:
        lengths = np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
        looks = None
        if self._expectation:
            looks = self._expectation.looks(centred, self._settings.emphasis) - correction
        return Aim(centred / lengths, rivals if contrast > 0 else None, contrast, looks, pulls)

    def _spread(self, work: Callable[[Easel, np.ndarray], None], batches: Sequence[np.ndarray]) -> None:
        """Each batch's rows on an easel that is free. An error, or Ctrl-C, ends what has not begun."""
        if len(self._easels) == 1 or len(batches) < 2:
            for rows in batches:
                work(self._easels[0], rows)
            return
        free: SimpleQueue[Easel] = SimpleQueue()
        for easel in self._easels:
            free.put(easel)

        def take(rows: np.ndarray) -> None:
            easel = free.get()
            try:
                work(easel, rows)
            finally:
                free.put(easel)

        threads = torch.get_num_threads()
        torch.set_num_threads(self._threads_each)
        pool = ThreadPoolExecutor(len(self._easels), thread_name_prefix="easel")
        try:
            with plain_paths():  # once for all: each pass would set it back under the others
                for _ in pool.map(take, batches):
                    pass  # an error of any is raised here
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


def _devices(device: torch.device) -> list[torch.device]:
    """One easel each: all CUDA devices that are visible, or the cores of a processor in a few groups."""
    if device.type == "cuda":
        return [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    return [device] * (min(_MOST_EASELS, torch.get_num_threads()) if device.type == "cpu" else 1)


def _eights(count: int) -> int:
    return -(-count // 8) * 8


def _at(array: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if array is None else array[rows]
