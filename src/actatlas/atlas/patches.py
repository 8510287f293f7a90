"""Patches of photos around activations, cut from the photos themselves."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from PIL import Image

from actatlas.bands import Bands, shown
from actatlas.preprocessing import patch_box

if TYPE_CHECKING:
    from actatlas.atlas.layer import Layer
    from actatlas.atlas.reader import Atlas

_MAX_THREADS = 8
_PHOTOS_AHEAD = 64

Found = TypeVar("Found")


def cut_patches(
    atlas: Atlas,
    rows: Sequence[int] | np.ndarray,
    layers: Sequence[Layer],
    side_px: Sequence[int],
    reduced: bool = False,
) -> Iterator[tuple[int, list[Any]]]:
    """For each of `rows`, photo by photo: its place in `rows`, and a patch (an image, or Bands) for each layer.

    reduced: large JPEGs may be decoded at a fraction of their size: several times faster, and nearly the same

    Every photo is decoded once, by threads that run a little ahead. Raises UnreadableImage where a photo is gone.
    """
    places = atlas.layer(atlas.layer_names[0]).places
    wanted: dict[int, list[int]] = defaultdict(list)
    for slot, row in enumerate(rows):
        wanted[int(places.image_ids[row])].append(slot)

    def of_photo(image_id: int, photo: Image.Image) -> list[tuple[int, list[Any]]]:
        cutter = PhotoCutter(atlas, photo)
        return [
            (slot, [cutter.patch(layer, rows[slot], side) for layer, side in zip(layers, side_px, strict=True)])
            for slot in wanted[image_id]
        ]

    def least_px(image_id: int) -> int:
        return shorter_side_for(atlas, [rows[slot] for slot in wanted[image_id]])

    for found in over_photos(atlas, sorted(wanted), of_photo, least_px if reduced else None):
        yield from found


def cut_pictures(layer: Layer, rows: np.ndarray, tick: Callable[[int], None] = lambda count: None) -> np.ndarray:
    """(n, S, S, 3) uint8: what some rows of the layer saw, as large as its icons."""
    px = layer.icon_px
    pixels = np.empty((len(rows), px, px, 3), np.uint8)
    for slot, (patch,) in cut_patches(layer.atlas, rows, [layer], [layer.patch_px], reduced=True):
        pixels[slot] = np.asarray(shown(patch).convert("RGB").resize((px, px), reducing_gap=3.0))
        tick(1)
    return pixels


class PhotoCutter:
    """Cuts patches from one decoded photo; a crop is made once, however many patches lie in it."""

    def __init__(self, atlas: Atlas, photo: Image.Image | Bands):
        self._preprocessing = atlas.preprocessing
        self._places = atlas.layer(atlas.layer_names[0]).places
        self._photo = photo
        self._crops: dict[tuple[float, ...], Any] = {}

    def patch(self, layer: Layer, row: int, side_px: int) -> Any:
        """Around the activation `row` of all that the atlas's layers have, at the network's input size."""
        box = tuple(self._places.boxes[row].tolist())
        if box not in self._crops:
            self._crops[box] = self._preprocessing.crop(self._photo, box)
        position = tuple(self._places.positions[row].tolist())
        return self._crops[box].crop(patch_box(position, side_px, layer.info.shape[1:], self._preprocessing.input_px))


def over_photos(
    atlas: Atlas,
    image_ids: Sequence[int],
    work: Callable[[int, Image.Image], Found],
    least_px: Callable[[int], int] | None = None,
) -> Iterator[Found]:
    """`work(image id, photo)` of each photo, in the order given, by threads that run a little ahead.

    least_px: the shorter side that a photo needs at least, where a large JPEG may be decoded at a fraction of its size

    Raises NoImages or UnreadableImage where photos are gone.
    """
    source = atlas.source
    read_reduced = getattr(source, "read_reduced", None)

    def of_photo(image_id: int) -> Found:
        if least_px is None or read_reduced is None:
            return work(image_id, source.read(image_id))
        return work(image_id, read_reduced(image_id, least_px(image_id)))

    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _MAX_THREADS), thread_name_prefix="actatlas-patches")
    with pool, closing(_ahead(pool, of_photo, image_ids)) as photos:
        yield from photos


def shorter_side_for(atlas: Atlas, rows: Sequence[int]) -> int:
    """Of the photo that these rows are of, in pixels: enough for their crops to be as sharp as the network had them."""
    boxes = atlas.layer(atlas.layer_names[0]).places.boxes[np.asarray(rows)]
    smallest = float(np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]).min())
    return round(2 * max(atlas.preprocessing.input_px) / max(smallest, 0.05))


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[int], Found], items: Sequence[int]
) -> Generator[Found, None, None]:
    """`work` of each item, in order, at most 64 of them before they are asked for."""
    waiting: list[Future[Found]] = []
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > _PHOTOS_AHEAD:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()
    finally:
        for future in waiting:
            future.cancel()
