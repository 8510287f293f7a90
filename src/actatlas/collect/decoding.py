"""Photos → network inputs as uint8, by threads that run ahead of the network by a bounded amount."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from actatlas.collect.sampling import MIN_CROP_SIDE, Box, crop_box
from actatlas.collect.settings import CollectSettings
from actatlas.errors import NoImages, UnreadableImage
from actatlas.preprocessing import OtherChannels, Preprocessing
from actatlas.values import ImageSource

# A JPEG may be decoded at a fraction of its size as long as this many of its pixels stay for one of the input's, along
# a side: then the resize that follows still averages, and what the network sees is nearly that of the whole photo.
_PIXELS_PER_INPUT_PIXEL = 2
_MAX_THREADS = 16


@dataclass(frozen=True)
class Prepared:
    """One photo as inputs.

    inputs: (crops, H, W, channels) uint8; empty where the photo could not be used
    boxes: the part of the upright photo that each input shows
    reason: why the photo could not be used, or None; has_other_channels: because it has more or fewer than the network
    """

    image_id: int
    inputs: np.ndarray
    boxes: tuple[Box, ...] = ()
    reason: str | None = None
    has_other_channels: bool = False


class Decoder:
    """Reads photos and cuts their crops. Pillow drops Python's lock while it decodes and resizes, so threads do."""

    def __init__(self, source: ImageSource, preprocessing: Preprocessing, settings: CollectSettings):
        self._source = source
        self._preprocessing = preprocessing
        self._settings = settings
        self._read_reduced = getattr(source, "read_reduced", None)
        self._wanted_px = self._needed_px()

    def prepare(self, image_id: int, crops: Sequence[int] | None = None) -> Prepared:
        """Never raises for a bad photo. crops: those that are wanted, by number; None takes all"""
        try:
            photo = self._read(image_id)
        except UnreadableImage as error:
            return self._unusable(image_id, error.reason)
        boxes = tuple(self._boxes(image_id, photo))
        boxes = boxes if crops is None else tuple(boxes[crop] for crop in crops)
        try:
            cut = [np.asarray(self._preprocessing.crop(photo, box)) for box in boxes]
        except OtherChannels as error:
            return replace(self._unusable(image_id, f"cannot be used: {error}"), has_other_channels=True)
        except (ValueError, MemoryError) as error:  # Pillow's, for sizes that it cannot resize
            return self._unusable(image_id, f"cannot be used: {str(error) or type(error).__name__}")
        inputs = np.stack(cut).reshape(len(cut), *self._preprocessing.input_px, self._preprocessing.channel_count)
        return Prepared(image_id, inputs, boxes)

    def run_ahead(
        self,
        image_ids: Iterable[int],
        photos_ahead: int,
        crops: Iterable[Sequence[int] | None] = itertools.repeat(None),
    ) -> Generator[Prepared, None, None]:
        """`prepare` for each id, in order, at most `photos_ahead` of them before they are asked for.

        crops: of each photo, which are wanted; by default all
        Closing the iterator stops the threads after the photos that they hold.
        """
        pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _MAX_THREADS), thread_name_prefix="actatlas-decode")
        wanted = zip(image_ids, crops, strict=False)
        waiting: deque[Future[Prepared]] = deque()
        try:
            while True:
                while len(waiting) < photos_ahead and (photo := next(wanted, None)) is not None:
                    waiting.append(pool.submit(self.prepare, *photo))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, image_id: int) -> Image.Image:
        if self._read_reduced is not None:
            return self._read_reduced(image_id, self._wanted_px)
        return self._source.read(image_id)

    def _boxes(self, image_id: int, photo: Image.Image) -> Iterator[Box]:
        if self._settings.crops == 0:
            yield self._preprocessing.full_box(photo.size)
        for crop in range(self._settings.crops):
            yield crop_box(photo.size, self._preprocessing.input_px, self._settings.seed, image_id, crop)

    def _needed_px(self) -> int:
        """The shorter side that a photo must keep when it is decoded at a fraction of its size."""
        input_px = max(self._preprocessing.input_px)
        shown_px = input_px / MIN_CROP_SIDE if self._settings.crops else self._preprocessing.resize_px or input_px
        return round(_PIXELS_PER_INPUT_PIXEL * shown_px)

    def _unusable(self, image_id: int, reason: str) -> Prepared:
        shape = (0, *self._preprocessing.input_px, self._preprocessing.channel_count)
        return Prepared(image_id, np.empty(shape, np.uint8), reason=reason)


def none_usable(source: ImageSource, preprocessing: Preprocessing, first: Prepared | None, listed: int) -> NoImages:
    """What is said, and advised, where not one of `listed` photos can be used. first: of those"""
    wanted = preprocessing.channel_count
    if wanted > 3:
        advice = (
            f"files are read as RGB: give photos of {wanted} channels as actatlas.bands.Bands, by an image source of "
            'your own (docs/plugins.md, "Rules for an image source"), or choose a network of three channels'
        )
    elif first is not None and first.has_other_channels:
        advice = "choose a network of their channels (timm:NAME?in_chans=N), or give photos in RGB"
    else:
        advice = "give photos as JPEG, PNG, WebP, BMP, GIF or TIFF"
    reason = "" if first is None else f" (first reason: {first.reason})"
    return NoImages(
        f"none of the {listed} images of {source.spec} could be used{reason}; {advice}",
        listed=listed,
    )
