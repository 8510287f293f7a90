"""The pictures of the lab: photos as the network sees them, patches of any kind, and what the reader gave."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from PIL import Image

from actatlas.atlas import Atlas, Grid, Layer
from actatlas.bands import shown
from actatlas.errors import ImageError, UnfinishedAtlas, UnreadableImage, UsageError
from actatlas.images import decode
from actatlas.lab.asking import AtlasPhoto, CellName, Example, Given, Photo
from actatlas.preprocessing import Preprocessing
from actatlas.store import pictures

MOST_PHOTOS = 48  # of one answer
_THUMBNAIL_PX = 96
_QUALITY = 88
_KEPT_PX = 1024  # longer side of what is kept of a given picture, to be a patch
_KEPT = 16
_EXAMPLES = 12


@dataclass(frozen=True)
class _Kept:
    """seen: as the network sees it, as a photo; whole: as a patch, shrunk where it is very large"""

    seen: Image.Image
    whole: Image.Image


class Shelf:
    """The last pictures that the reader gave, or that were painted, by a key that tells nothing of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, picture: Image.Image, preprocessing: Preprocessing) -> str:
        """picture: upright, RGB; the key is the same for the same picture."""
        whole = picture.copy()
        whole.thumbnail((_KEPT_PX, _KEPT_PX), Image.Resampling.LANCZOS)
        key = hashlib.sha256(whole.tobytes() + repr(picture.size).encode()).hexdigest()[:24]
        with self._lock:
            self._kept[key] = _Kept(preprocessing.crop(picture), whole)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return key

    def get(self, key: str) -> _Kept:
        """Raises UsageError where it is no longer here."""
        with self._lock:
            if key not in self._kept:
                raise UsageError("this picture is no longer here: give it again")
            self._kept.move_to_end(key)
            return self._kept[key]


class Pictures:
    def __init__(self, atlas: Atlas, layers: dict[str, Layer], shelf: Shelf):
        """layers: by what the page calls them"""
        self._atlas, self._layers, self.shelf = atlas, layers, shelf
        # A picture of the atlas stays what it is: what was read once is kept for a while.
        self._photo_seen = lru_cache(32)(self._read)
        self._examples = lru_cache(32)(self._cut)
        self._thumbnail = lru_cache(1024)(self._thumbnail_of)

    def receive(self, content: bytes) -> dict[str, Any]:
        """A file's bytes. Raises UnreadableImage."""
        picture = decode(content)
        key = self.shelf.put(picture, self._atlas.preprocessing)
        kept = self.shelf.get(key)
        return {"key": key, "size": list(picture.size), "picture": jpeg(kept.seen), "patch": thumbnail(kept.whole)}

    # --- photos

    def seen(self, photo: Photo) -> Image.Image:
        """As the network sees it: RGB at the input's size, or L. Raises UnreadableImage, UsageError."""
        return self._photo_seen(photo.id) if isinstance(photo, AtlasPhoto) else self.shelf.get(photo.key).seen

    def photos(self, start: int, count: int, query: str) -> dict[str, Any]:
        """Photos of the atlas, in their order, from the start-th of those whose columns or class hold the words."""
        words = query.casefold().split()
        found = [i for i, (_, _, said) in self._table.items() if all(word in said for word in words)]
        return {"total": len(found), "photos": [self._photo_value(i) for i in found[start : start + count]]}

    @property
    def photo_count(self) -> int:
        """Raises ImageError, UnfinishedAtlas where they are not to be had."""
        if not self._table:
            raise UnfinishedAtlas(f"{self._atlas.folder} carries no photos")
        first = next(iter(self._table))
        try:
            self._atlas.source.read(first)
        except UnreadableImage as error:
            raise UnreadableImage(
                f"the photos of {self._atlas.folder} are not where they were when it was built "
                f"(the first: {error.reason}); put them back, or give a photo of your own"
            ) from None
        return len(self._table)

    @cached_property
    def _table(self) -> dict[int, tuple[dict[str, str], str | None, str]]:
        """{id: columns, what the network took it for, all of it in one text}"""
        taken = self._taken_for
        found = {}
        for row in self._atlas.images.to_dict("records"):
            if row["skipped"] is None:
                columns, image_id = {name: row[name] for name in self._atlas.image_columns}, int(row["id"])
                said = " ".join([*columns.values(), taken.get(image_id) or "", str(image_id)]).casefold()
                found[image_id] = columns, taken.get(image_id), said
        return found

    @property
    def _taken_for(self) -> dict[int, str]:
        """The class that most of a photo's crops were taken for."""
        predicted = self._atlas.predicted_classes
        if predicted is None:
            return {}
        votes: dict[int, Counter[int]] = defaultdict(Counter)
        for image_id, index in predicted.itertuples(index=False):
            votes[int(image_id)][int(index)] += 1
        labels = self._atlas.class_names.labels
        return {image_id: labels[counted.most_common(1)[0][0]] for image_id, counted in votes.items()}

    def said_of(self, image_id: int) -> str:
        """What a photo is, in a word: its label, or what the network took it for."""
        columns, taken_for, _ = self._table[image_id]
        return columns.get("label") or taken_for or f"photo {image_id}"

    def _photo_value(self, image_id: int) -> dict[str, Any]:
        columns, taken_for, _ = self._table[image_id]
        return {"id": image_id, "columns": columns, "taken_for": taken_for, "thumbnail": self._thumbnail(image_id)}

    def _thumbnail_of(self, image_id: int) -> str | None:
        source, preprocessing = self._atlas.source, self._atlas.preprocessing
        read_reduced = getattr(source, "read_reduced", None)
        try:
            photo = read_reduced(image_id, 2 * max(preprocessing.input_px)) if read_reduced else source.read(image_id)
        except UnreadableImage:
            return None
        return thumbnail(shown(preprocessing.crop(photo)))

    def _read(self, image_id: int) -> Image.Image:
        if image_id not in self._table:
            raise UsageError(f"{self._atlas.folder} has no photo {image_id}")
        try:
            return shown(self._atlas.preprocessing.crop(self._atlas.source.read(image_id)))
        except UnreadableImage as error:
            raise UnreadableImage(f"photo {image_id} cannot be shown: {error.reason}") from None

    # --- patches

    def patch(self, patch: Given | Example | Any) -> Image.Image:
        """As large as it is. Raises UsageError, ImageError."""
        if isinstance(patch, Given):
            return self.shelf.get(patch.key).whole
        grid, k = self.cell(patch.cell)
        if not isinstance(patch, Example):
            return Image.fromarray(grid.icons[k])
        examples = self._examples(patch.cell)
        if patch.number >= len(examples):
            raise UsageError(f"cell {patch.cell.column},{patch.cell.row} has {len(examples)} patches of photos")
        return examples[patch.number]

    def patches(self, layer: Layer, rows: np.ndarray) -> tuple[list[str], str | None]:
        """Of a layer's activations, small, JPEG in base64; or none, and why."""
        if not self._atlas.has_photos:
            return [], f"{self._atlas.folder} carries no photos"
        try:
            return [thumbnail(patch) for patch in layer.patches(rows)], None
        except ImageError as error:
            return [], str(error)

    def cell(self, name: CellName) -> tuple[Grid, int]:
        grid = self.layer(name.layer).grid(name.side)
        return grid, grid.cell_at(name.column, name.row).k

    def layer(self, name: str) -> Layer:
        if name not in self._layers:
            raise UsageError(f'{self._atlas.folder} shows no layer "{name}"; load the page again')
        return self._layers[name]

    def _cut(self, name: CellName) -> list[Image.Image]:
        grid, k = self.cell(name)
        try:
            return grid.examples(k, _EXAMPLES)
        except ImageError as error:
            raise UnreadableImage(
                f"the patches of cell {name.column},{name.row} cannot be cut: {error}; take its icon"
            ) from None


def png(picture: Image.Image) -> str:
    """Base64. Quickly, for it goes no farther than to the browser beside."""
    return base64.b64encode(pictures.png(picture, compress_level=1)).decode()


def jpeg(picture: Image.Image) -> str:
    """Base64."""
    return base64.b64encode(pictures.jpeg(picture, _QUALITY)).decode()


def thumbnail(picture: Image.Image) -> str:
    small = picture.convert("RGB")
    small.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS)
    return jpeg(small)
