"""Patches of photos around activations, cut from the photos themselves."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from actatlas.preprocessing import patch_box

if TYPE_CHECKING:
    from actatlas.atlas.layer import Layer
    from actatlas.atlas.reader import Atlas

_MAX_THREADS = 8
_PHOTOS_AHEAD = 64


def cut_patches(
    atlas: Atlas,
    rows: Sequence[int] | np.ndarray,
    layers: Sequence[Layer],
    side_px: Sequence[int],
    reduced: bool = False,
) -> Iterator[tuple[int, list[Image.Image]]]:
    """For each of `rows`, photo by photo: its place in `rows`, and a patch for each layer with its side.

    reduced: large JPEGs may be decoded at a fraction of their size: several times faster, and nearly the same

    Every photo is decoded once, by threads that run a little ahead. Raises UnreadableImage where a photo is gone.
    """
    places = atlas.layer(atlas.layer_names[0]).places
    wanted: dict[int, list[int]] = defaultdict(list)
    for slot, row in enumerate(rows):
        wanted[int(places.image_ids[row])].append(slot)
    preprocessing = atlas.preprocessing
    read_reduced = getattr(atlas.source, "read_reduced", None) if reduced else None

    def of_photo(image_id: int) -> list[tuple[int, list[Image.Image]]]:
        slots = wanted[image_id]
        boxes = [tuple(places.boxes[rows[slot]].tolist()) for slot in slots]
        if read_reduced is None:
            photo = atlas.source.read(image_id)
        else:
            smallest = min(min(box[2] - box[0], box[3] - box[1]) for box in boxes)
            photo = read_reduced(image_id, round(2 * max(preprocessing.input_px) / max(smallest, 0.05)))
        crops: dict[tuple[float, ...], Image.Image] = {}
        found = []
        for slot, box in zip(slots, boxes, strict=True):
            crop = crops.get(box) or crops.setdefault(box, preprocessing.crop(photo, box))
            position = tuple(places.positions[rows[slot]].tolist())
            cuts = [
                crop.crop(patch_box(position, side, layer.info.shape[1:], preprocessing.input_px))
                for layer, side in zip(layers, side_px, strict=True)
            ]
            found.append((slot, cuts))
        return found

    image_ids = sorted(wanted)
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _MAX_THREADS), thread_name_prefix="actatlas-patches")
    with pool, closing(_ahead(pool, of_photo, image_ids)) as photos:
        for found in photos:
            yield from found


def _ahead(pool: ThreadPoolExecutor, work, items: Sequence[int]):
    """`work` of each item, in order, at most 64 of them before they are asked for."""
    waiting = []
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
