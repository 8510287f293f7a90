"""Photos of several sources, one behind the other: A + B. What an earlier one has is left out of the later."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from actatlas.images.listed import ListedPhotos
from actatlas.images.records import Entry, Records
from actatlas.values import ImageRecord, ImageSource

BETWEEN = " + "


@dataclass(frozen=True)
class Part:
    """ids: (n,) int64, ascending; those of the source's photos that are counted"""

    source: ImageSource
    ids: np.ndarray


class JoinedPhotos(ListedPhotos):
    """Ids go on from one source to the next. A photo whose name an earlier source has too is called "NAME (2)".

    parts: which have photos of their own, in order
    """

    def __init__(self, sources: Sequence[ImageSource]):
        known: set[str] = set()
        self.parts: list[Part] = []
        for source in itertools.chain.from_iterable(_parts_of(source) for source in sources):
            homes = list(map(_home_function(source), range(len(source.records))))
            ids = np.array([number for number, home in enumerate(homes) if home not in known], np.int64)
            known.update(homes)
            if len(ids):
                self.parts.append(Part(source, ids))
        self.spec = BETWEEN.join(part.source.spec for part in self.parts)
        self._starts = np.cumsum([0, *(len(part.ids) for part in self.parts)])
        self._records = Records.of(self._entries())
        self.content_sha256 = self._hash()

    def _photo(self, image_id: int, wanted_px: int | None) -> Image.Image:
        part, number = self._find(image_id)
        read_reduced = getattr(part.source, "read_reduced", None)
        if wanted_px is None or read_reduced is None:
            return part.source.read(number)
        photo: Image.Image = read_reduced(number, wanted_px)
        return photo

    def home_of(self, image_id: int) -> str:
        part, number = self._find(image_id)
        return _home_function(part.source)(number)

    def _find(self, image_id: int) -> tuple[Part, int]:
        at = int(np.searchsorted(self._starts, image_id, side="right")) - 1
        part = self.parts[at]
        return part, int(part.ids[image_id - self._starts[at]])

    def _entries(self) -> Iterator[Entry]:
        columns = dict.fromkeys(name for part in self.parts for name in part.source.column_names)
        taken: set[str] = set()
        for number, part in enumerate(self.parts, 1):
            records = part.source.records
            own = [records[int(i)].path for i in part.ids]
            # Sources call their photos by short names: two folders may each have a 000.tar.
            ending = "" if taken.isdisjoint(own) else f" ({number})"
            taken.update(own)
            for i in part.ids:
                record = records[int(i)]
                yield record.path + ending, {name: record.columns.get(name, "") for name in columns}

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for part in self.parts:
            digest.update(repr((len(part.ids), getattr(part.source, "content_sha256", ""))).encode())
        return digest.hexdigest()


def _home_function(source: ImageSource) -> Callable[[int], str]:
    """Of each photo where it lies, by a name that no other source's photo has.

    A shard's photos lie in the shard: who has one of them has all.
    """
    home_of: Callable[[int], str] | None = getattr(source, "home_of", None)
    records: Sequence[ImageRecord] = source.records
    return home_of or (lambda image_id: f"{source.spec} {records[image_id].path}")


def _parts_of(source: ImageSource) -> list[ImageSource]:
    return [part.source for part in source.parts] if isinstance(source, JoinedPhotos) else [source]
