"""The patches of a pool as pictures: cut from the photos, and put together 8 × 8 to a sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from actatlas.atlas import Atlas, PhotoCutter, over_photos, shorter_side_for
from actatlas.bands import shown
from actatlas.progress import Progress
from actatlas.site.photos import Photos
from actatlas.site.pool import Pool
from actatlas.store.pictures import jpeg

PATCHES_PER_EDGE = 8
MOST_BYTES = 15_000_000  # of all sheets of one pool
_QUALITIES = (75, 65, 55, 45, 35, 25)
_MOST_MEMORY_BYTES = 400_000_000


def groups(pools: Sequence[Pool]) -> Iterator[list[Pool]]:
    """Pools whose patches fit into memory together: a photo is decoded once a group, which most often is once."""
    group: list[Pool] = []
    used = 0
    for pool in pools:
        needed = len(pool) * pool.size_px**2 * 3
        if group and used + needed > _MOST_MEMORY_BYTES:
            yield group
            group, used = [], 0
        group.append(pool)
        used += needed
    if group:
        yield group


def cut(atlas: Atlas, pools: Sequence[Pool], photos: Photos, progress: Progress) -> list[np.ndarray]:
    """For each pool its patches, (P, px, px, 3) uint8, and the photos that are missing; each photo is decoded once.

    Raises NoImages, UnreadableImage or MissingExtra where photos are gone.
    """
    cuts = [np.empty((len(pool), pool.size_px, pool.size_px, 3), np.uint8) for pool in pools]
    wanted: dict[int, list[tuple[int, int, int]]] = {i: [] for i in photos.missing}  # pool, patch, row of the atlas
    for number, pool in enumerate(pools):
        rows = pool.layer.rows_of_layer(pool.rows).tolist()
        for patch, (image_id, row) in enumerate(zip(pool.layer.places.image_ids[pool.rows], rows, strict=True)):
            wanted.setdefault(int(image_id), []).append((number, patch, row))

    def of_photo(image_id: int, photo: Image.Image) -> tuple[int, bytes | None]:
        cutter = PhotoCutter(atlas, photo)
        for number, patch, row in wanted[image_id]:
            layer, px = pools[number].layer, pools[number].size_px
            cuts[number][patch] = np.asarray(_squared(shown(cutter.patch(layer, row, layer.patch_px)), px))
        return image_id, photos.encoded(image_id, photo)

    def least_px(image_id: int) -> int:
        rows = [row for _, _, row in wanted[image_id]]
        return max(shorter_side_for(atlas, rows) if rows else 0, photos.longest_px or 0)

    with progress.stage("Cutting patches of photos", len(wanted), "photos") as tick:
        for image_id, jpeg in over_photos(atlas, sorted(wanted), of_photo, least_px):
            if jpeg is not None:
                photos.take(image_id, jpeg)
            tick(1)
    return cuts


def encoded(patches: np.ndarray) -> list[bytes]:
    """JPEG files of 8 × 8 patches, row-major, as good as 15 MB for all of them allows; the last may have fewer rows.

    They were JPEG once, and there are so many that WebP's slower encoding would be felt.
    """
    for quality in _QUALITIES:
        files = [jpeg(sheet, quality) for sheet in _sheets(patches)]
        if sum(map(len, files)) <= MOST_BYTES:
            break
    return files


def sheet_count(patch_count: int) -> int:
    return -(-patch_count // PATCHES_PER_EDGE**2)


def _sheets(patches: np.ndarray) -> Iterator[Image.Image]:
    px, edge = patches.shape[1], PATCHES_PER_EDGE
    for start in range(0, len(patches), edge**2):
        part = patches[start : start + edge**2]
        rows = -(-len(part) // edge)
        sheet = np.full((rows * edge, px, px, 3), 128, np.uint8)
        sheet[: len(part)] = part
        yield Image.fromarray(
            sheet.reshape(rows, edge, px, px, 3).transpose(0, 2, 1, 3, 4).reshape(rows * px, edge * px, 3)
        )


def _squared(patch: Image.Image, px: int) -> Image.Image:
    filter_ = Image.Resampling.LANCZOS if patch.width > px else Image.Resampling.BICUBIC
    return (patch if patch.size == (px, px) else patch.resize((px, px), filter_)).convert("RGB")
