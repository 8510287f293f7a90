"""The photos that ship beside their patches: small, upright, without a word of what their files said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from actatlas.atlas import Layer
from actatlas.bands import shown
from actatlas.preprocessing import patch_box
from actatlas.site.pool import Pool
from actatlas.store.pictures import jpeg

_QUALITY = 80
_PER_SIDE = 1000


@dataclass
class Photos:
    """Photos that are to ship, and are still missing.

    longest_px: None where none ship
    missing: their ids
    put: writes one, by its id
    """

    longest_px: int | None
    missing: set[int]
    put: Callable[[int, bytes], None]

    def encoded(self, image_id: int, photo: Image.Image) -> bytes | None:
        """Its file, where it is missing."""
        if self.longest_px is None or image_id not in self.missing:
            return None
        return stripped(photo, self.longest_px)

    def take(self, image_id: int, jpeg: bytes) -> None:
        self.put(image_id, jpeg)
        self.missing.discard(image_id)


def shown_photos(pools: Iterable[Pool]) -> list[int]:
    """Ids of the photos that patches are of, each once, ascending."""
    return sorted({int(i) for pool in pools for i in pool.layer.places.image_ids[pool.rows]})


def stripped(photo: Image.Image, longest_px: int) -> bytes:
    """A JPEG of an upright RGB photo, no side above `longest_px`: pixels alone, no EXIF, profile, comment or place."""
    small = shown(photo).convert("RGB").copy()
    small.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    return jpeg(small, _QUALITY)


def places_value(pool: Pool) -> dict[str, list]:
    """Where each patch of a pool lies: its photo, and left, top, right, bottom in thousandths of the photo's sides."""
    places = pool.layer.places
    return {
        "photos": places.image_ids[pool.rows].tolist(),
        "boxes": [_box_on_photo(pool.layer, row) for row in pool.rows.tolist()],
    }


def _box_on_photo(layer: Layer, row: int) -> list[int]:
    height, width = layer.atlas.preprocessing.input_px
    position = tuple(layer.places.positions[row].tolist())
    in_crop = np.array(patch_box(position, layer.patch_px, layer.info.shape[1:], (height, width)))
    left, top, right, bottom = layer.places.boxes[row].tolist()
    sizes = np.array([right - left, bottom - top] * 2)
    box = np.array([left, top] * 2) + in_crop / (width, height, width, height) * sizes
    return np.clip(np.rint(box * _PER_SIDE), 0, _PER_SIDE).astype(int).tolist()
