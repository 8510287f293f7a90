"""Photos in webdataset shards: wds:PATTERN?image=EXTENSION, or a .tar file.

A shard is a tar whose members of one key (their name up to the first dot) stand together: 0001.jpg, 0001.cls,
0001.json. One pass over the headers finds the photos; then each is read where it lies: by a seek, a Range request, or
what an object store has in its place. From servers that give no parts a shard is fetched whole, to a nameless temporary
file, when its turn comes.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import weakref
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from actatlas.errors import ImageError, NoImages, UnreadableImage
from actatlas.images.addresses import Remote, is_address
from actatlas.images.blocks import BlockCache
from actatlas.images.decoding import MAX_FILE_BYTES, TOO_LARGE, decode, without_waiting
from actatlas.images.listed import ListedPhotos
from actatlas.images.listing import EXTENSIONS
from actatlas.images.records import Growing, Texts
from actatlas.images.remote import as_a_photo, opened, read_part
from actatlas.images.shards import read_spec
from actatlas.images.tar import Archive, Member, members
from actatlas.images.web import WebArchive, patiently
from actatlas.values import Blocks

SUFFIXES = (".tar",)
OPTIONS = ("image",)
_THREADS = 8  # that list shards on servers and in object stores
_SHARDS_AT_ONCE = 2  # from servers that do not give parts
_TEXT_BYTES = 64 * 2**10
_JSON_BYTES = 2**20
_MOST_COLUMNS = 64
_NOT_REGULAR = -1


class WebDataset(ListedPhotos):
    """Photos in tar shards. Ids are places in the listing: shards in natural order of their names, as they lie there.

    A webdataset's other members are its columns: `.cls` is `label`, `.txt` is `text`, plain values of `.json` go by
    their names. Nothing is unpickled, and nothing is extracted.
    """

    def __init__(self, text: str):
        """text: what stands behind wds:. Raises NoImages, ImageError for a torn shard."""
        found = read_spec("wds", text, SUFFIXES, OPTIONS)
        self.spec = found.spec
        wanted = found.options.get("image", "").lower().lstrip(".")
        is_remote = is_address(found.places[0])
        list_one = _list_remote if is_remote else _list_local
        self._places: list[_Local | Remote] = []
        counts, offsets, sizes, records = [], [], [], Growing(_MOST_COLUMNS)
        with ThreadPoolExecutor(_THREADS) as pool:
            shards = (pool.map if is_remote else map)(partial(list_one, wanted=wanted), found.places)
            for name, shard in zip(found.names, shards, strict=True):
                self._places.append(shard.place)
                counts.append(len(shard.offsets))
                offsets.append(np.frombuffer(shard.offsets, np.int64))
                sizes.append(np.frombuffer(shard.sizes, np.int64))
                for number, columns in enumerate(shard.columns):
                    records.add(f"{name}/{shard.names[number]}", columns)
        self._shard = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        self._offsets, self._sizes = np.concatenate(offsets), np.concatenate(sizes)
        self._records = records.done(first=("label", "text"))
        self._names = found.names
        self.content_sha256 = self._hash(len(self._names))
        if not len(self._records):
            called = f"called *.{wanted}" if wanted else f"({', '.join(EXTENSIONS)})"
            raise NoImages(
                f"{self.spec} holds no photo {called}; say which members are the photos: ?image=EXTENSION",
                spec=self.spec,
            )
        if is_remote and not all(place.gives_parts for place in self._places if isinstance(place, Remote)):
            _, starts = np.unique(self._shard, return_index=True)
            self.blocks = Blocks(starts.astype(np.int64), _SHARDS_AT_ONCE)
        self._fetched = BlockCache(self._fetch, 2 * _SHARDS_AT_ONCE)

    def home_of(self, image_id: int) -> str:
        """Its shard: a path or an address."""
        place = self._places[int(self._shard[image_id])]
        return place.path if isinstance(place, _Local) else place.url

    def _photo(self, image_id: int, wanted_px: int | None) -> Image.Image:
        return decode(self.read_bytes(image_id), wanted_px)

    def read_bytes(self, image_id: int) -> bytes:
        """As the shard has them. Raises UnreadableImage, OutOfReach."""
        number = int(self._shard[image_id])
        place, offset, size = self._places[number], int(self._offsets[image_id]), int(self._sizes[image_id])
        if size == _NOT_REGULAR:
            raise UnreadableImage("not a regular file in its archive")
        if size > MAX_FILE_BYTES:
            raise UnreadableImage(TOO_LARGE)
        if isinstance(place, _Local):
            return place.read(offset, size)
        with as_a_photo():
            if place.gives_parts and not hasattr(self, "blocks"):
                content = read_part(place, offset, size)
            else:
                content = self._fetched(number).read(offset, size)
        if len(content) < size:
            raise UnreadableImage("truncated: the server gave less than it listed")
        return content

    def _fetch(self, number: int) -> _Fetched:
        """A shard, whole, in a file without a name."""
        place = self._places[number]
        assert isinstance(place, Remote)

        def fetch() -> _Fetched:
            fetched = _Fetched()
            with closing(WebArchive(place.url)) as archive:
                if archive.remote != place:
                    raise NoImages(f"{place.url} has changed on its server since it was listed")
                if archive.copy_to(fetched.file) < place.length:
                    raise ConnectionError("the connection broke")
            fetched.file.flush()
            return fetched

        return patiently(place.url, fetch)

    def content_of(self, count: int) -> str | None:
        """What `content_sha256` was when there were only the shards of the first `count` photos."""
        shards = int(self._shard[count - 1]) + 1
        return self._hash(shards) if int(np.searchsorted(self._shard, shards)) == count else None

    def _hash(self, shards: int) -> str:
        """Of the first so many, and of where their photos lie."""
        digest, count = hashlib.sha256(), int(np.searchsorted(self._shard, shards))
        for name, place in zip(self._names[:shards], self._places, strict=False):
            digest.update(repr((name, place.length, place.version if isinstance(place, Remote) else "")).encode())
        digest.update(b"".join(part[:count].tobytes() for part in (self._shard, self._offsets, self._sizes)))
        return digest.hexdigest()


@dataclass(frozen=True)
class _Local:
    """A shard on disk, as it was listed."""

    path: str
    length: int
    changed_ns: int

    def read(self, offset: int, size: int) -> bytes:
        try:
            file = without_waiting(self.path)
            try:
                now = os.fstat(file)
                if (now.st_size, now.st_mtime_ns) != (self.length, self.changed_ns):
                    raise UnreadableImage("its shard has changed since it was listed")
                return os.pread(file, size, offset)
            finally:
                os.close(file)
        except OSError as error:
            raise UnreadableImage(f"its shard cannot be read: {error.strerror}") from None


class _Fetched:
    """A shard from a server, in a file without a name that is gone with this."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile(prefix="actatlas-shard-")  # noqa: SIM115  open as long as this is held
        weakref.finalize(self, self.file.close)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self.file.fileno(), size, offset)


class _LocalArchive:
    def __init__(self, path: str):
        self.where = path
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise ImageError(f"{path} is no file; name .tar files", path=path)
            self._file = without_waiting(path)
        except OSError as error:
            raise NoImages(f"{path} cannot be read: {error.strerror}", path=path) from None
        found = os.fstat(self._file)
        self.local = _Local(path, found.st_size, found.st_mtime_ns)

    def read_at(self, offset: int, count: int) -> bytes:
        return os.pread(self._file, count, offset)

    def has(self, offset: int) -> bool:
        return offset <= self.local.length

    def close(self) -> None:
        os.close(self._file)


@dataclass
class _Listed:
    """The photos of one shard: where they lie, what they are called, and what came with them."""

    place: _Local | Remote
    offsets: array = field(default_factory=lambda: array("q"))
    sizes: array = field(default_factory=lambda: array("q"))
    names: Texts = field(default_factory=Texts)
    columns: list[dict[str, str]] = field(default_factory=list)


def _list_local(place: str, wanted: str) -> _Listed:
    with closing(_LocalArchive(place)) as archive:
        return _list(archive, archive.local, wanted)


def _list_remote(place: str, wanted: str) -> _Listed:
    def read() -> _Listed:
        with closing(opened(place)) as archive:
            return _list(archive, archive.remote, wanted)

    return patiently(place, read)


def _list(archive: Archive, place: _Local | Remote, wanted: str) -> _Listed:
    listed = _Listed(place)
    for photo, columns in _samples(archive, wanted):
        listed.offsets.append(photo.offset)
        listed.sizes.append(photo.size if photo.is_regular else _NOT_REGULAR)
        listed.names.append(photo.name)
        listed.columns.append(columns)
    return listed


def _samples(archive: Archive, wanted: str) -> Iterator[tuple[Member, dict[str, str]]]:
    """Of each key that stands together: its photo, and what came with it."""
    key, photo, is_plain, columns = "", None, False, dict[str, str]()
    for member in members(archive):
        its_key, extension = _split(member.name)
        if member.is_folder or its_key is None:
            continue
        if its_key != key:
            if photo is not None:
                yield photo, columns
            key, photo, is_plain, columns = its_key, None, False, {}
        if extension == wanted if wanted else f".{extension.rpartition('.')[2]}" in EXTENSIONS:
            # Of several, such as seg.png and jpg, the one that is called by nothing but its kind; else the first.
            if photo is None or (not is_plain and "." not in extension):
                photo, is_plain = member, "." not in extension
        elif member.is_regular:
            columns |= _columns(archive, member, extension, columns)
    if photo is not None:
        yield photo, columns


def _split(name: str) -> tuple[str | None, str]:
    """The key, None for what is no sample, and the extension without its dot."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    if not stem or (stem.startswith("__") and stem.endswith("__")):
        return None, ""
    return folder + slash + stem, extension.lower()


def _columns(archive: Archive, member: Member, extension: str, so_far: dict[str, str]) -> dict[str, str]:
    most = {"cls": _TEXT_BYTES, "txt": _TEXT_BYTES, "json": _JSON_BYTES}.get(extension, -1)
    if member.size > most:
        return {}
    text = archive.read_at(member.offset, member.size).decode("utf-8", "replace")
    if extension == "json":
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        if not isinstance(values, dict):
            return {}
        plain = {name: _plain(value) for name, value in values.items() if isinstance(value, str | int | float | None)}
        return {name: value for name, value in plain.items() if name and so_far.get(name) is None}
    return {"label" if extension == "cls" else "text": text.strip()}


def _plain(value: Any) -> str:
    # JSON can hold halves of surrogate pairs, which no file can.
    return "" if value is None else str(value).encode("utf-8", "replace").decode()
