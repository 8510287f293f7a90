"""Photos that are files of a folder in an object store: s3://bucket/photos."""

from __future__ import annotations

import hashlib

from PIL import Image

from actatlas.errors import UnreadableImage
from actatlas.images.addresses import Remotes
from actatlas.images.buckets import read_part, spelled
from actatlas.images.decoding import MAX_FILE_BYTES, TOO_LARGE, decode
from actatlas.images.listed import ListedPhotos
from actatlas.images.listing import natural_order
from actatlas.images.records import Records
from actatlas.images.remote import as_a_photo


class BucketPhotos(ListedPhotos):
    """Flat, or with one sub-folder a class (the column `label`), or one file. Ids go by the natural order of names.

    Records call them by their name within the folder.
    """

    def __init__(self, url: str, photos: Remotes):
        """photos: at least one, in any order, of those that `files_in(url)` found"""
        self.spec = url.rstrip("/")
        self._files = photos.in_order(sorted(range(len(photos)), key=lambda number: natural_order(photos.urls[number])))
        address = spelled(url)
        start = len(address.rpartition("/")[0] if self._files.urls[0] == address else address) + 1
        has_classes = any("/" in name[start:] for name in self._files.urls)
        self._records = Records.of(
            (name[start:], {"label": name[start:].rpartition("/")[0]} if has_classes else {})
            for name in self._files.urls
        )
        self.content_sha256 = self.content_of(len(photos))

    def content_of(self, count: int) -> str:
        """What `content_sha256` was when there were only the first `count` photos."""
        digest = hashlib.sha256()
        for number in range(count):
            digest.update(repr((self._files.lengths[number], self._files.versions[number])).encode())
        return digest.hexdigest()

    def home_of(self, image_id: int) -> str:
        """Its address."""
        return self._files.urls[image_id]

    def _photo(self, image_id: int, wanted_px: int | None) -> Image.Image:
        return decode(self.read_bytes(image_id), wanted_px)

    def read_bytes(self, image_id: int) -> bytes:
        """As the store has them. Raises UnreadableImage, OutOfReach."""
        file = self._files[image_id]
        if file.length > MAX_FILE_BYTES:
            raise UnreadableImage(TOO_LARGE)
        with as_a_photo():
            return read_part(file, 0, file.length) if file.length else b""
