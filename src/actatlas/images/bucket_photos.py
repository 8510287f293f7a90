"""Photos that are files of a folder in an object store: s3://bucket/photos."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from actatlas.errors import NoImages, UnreadableImage
from actatlas.images.addresses import Remote
from actatlas.images.buckets import read_part, spelled
from actatlas.images.decoding import MAX_FILE_BYTES, TOO_LARGE, decode
from actatlas.images.listed import ListedPhotos
from actatlas.images.listing import natural_order
from actatlas.images.records import Column, Records, Texts


class BucketPhotos(ListedPhotos):
    """Flat, or with one sub-folder a class (the column `label`), or one file. Ids go by the natural order of names.

    Records call them by their name within the folder.
    """

    def __init__(self, url: str, photos: Sequence[Remote]):
        """photos: at least one, in any order, as `files_in(url)` found them"""
        self.spec = url.rstrip("/")
        ordered = sorted(photos, key=lambda photo: natural_order(photo.url))
        folder = spelled(url)
        self._folder = (folder.rpartition("/")[0] if ordered[0].url == folder else folder) + "/"
        names = [photo.url.removeprefix(self._folder) for photo in ordered]
        labels = [name.rpartition("/")[0] for name in names]
        self._versions = Texts(photo.version for photo in ordered)
        self._sizes = np.array([photo.length for photo in ordered], np.int64)
        self._records = Records(Texts(names), {"label": Column(labels)} if any(labels) else {})
        self.content_sha256 = self.content_of(len(ordered))

    def content_of(self, count: int) -> str:
        """What `content_sha256` was when there were only the first `count` photos."""
        digest = hashlib.sha256()
        for number in range(count):
            digest.update(repr((int(self._sizes[number]), self._versions[number])).encode())
        return digest.hexdigest()

    def home_of(self, image_id: int) -> str:
        """Its address."""
        return self._folder + self._records.paths[image_id]

    def _photo(self, image_id: int, wanted_px: int | None) -> Image.Image:
        return decode(self.read_bytes(image_id), wanted_px)

    def read_bytes(self, image_id: int) -> bytes:
        """As the store has them. Raises UnreadableImage."""
        size = int(self._sizes[image_id])
        if size > MAX_FILE_BYTES:
            raise UnreadableImage(TOO_LARGE)
        remote = Remote(self.home_of(image_id), size, self._versions[image_id], gives_parts=True)
        try:
            return read_part(remote, 0, size) if size else b""
        except (NoImages, OSError) as error:
            raise UnreadableImage(f"cannot be read: {error}") from None
