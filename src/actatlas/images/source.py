"""`open_source`: what the user typed → an ordered, finite list of photos with stable ids."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from PIL import Image

from actatlas.errors import NoImages
from actatlas.images import parquet, webdataset
from actatlas.images.addresses import Remotes, is_address, is_web
from actatlas.images.bucket_photos import BucketPhotos
from actatlas.images.buckets import files_in
from actatlas.images.decoding import read_photo
from actatlas.images.hf_datasets import HfDataset
from actatlas.images.joined import BETWEEN, JoinedPhotos
from actatlas.images.listed import ListedPhotos
from actatlas.images.listing import EXTENSIONS, has_images, is_image_name, list_csv, list_folder, list_text
from actatlas.images.packaged import list_packaged
from actatlas.images.parquet import ParquetSource
from actatlas.images.records import Entry, Records
from actatlas.images.shards import shards_in
from actatlas.images.webdataset import WebDataset
from actatlas.plugins import IMAGES, Plugin, find_plugin
from actatlas.values import ImageRecord, ImageSource

# Sources that were given as values: within this process their spec leads to them.
_given: WeakValueDictionary[str, ImageSource] = WeakValueDictionary()

KINDS = "a folder, a .txt list, a .csv with a path column, .parquet or .tar files, s3://…, or packaged:demo"
ImagesSpec = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | ImageSource


def open_source(spec: ImagesSpec) -> ImageSource:
    """The photos that `spec` names; ids are their places in the listing.

    spec: a folder (flat, or one sub-folder a class), a `.txt` list, a `.csv`, one image file, `packaged:demo`; a
    `.parquet` or webdataset `.tar` file or a folder of them, `parquet:PATTERN?column=NAME`, `wds:PATTERN` (a path with
    * or {000..127}); any of these but lists in an object store (`s3://…`), files of shards on a web server too;
    `hf-dataset:NAME?split=train` (docs/photos.md); `PREFIX:NAME` of a plug-in (docs/plugins.md); or several of these
    with " + " between them, the photos of each behind those before it. From Python also a list of paths, or an
    ImageSource, which is given back.

    Raises NoImages where nothing is there, ImageError where a list or a shard cannot be understood, MissingExtra where
    packages are not installed. Photos themselves are not opened yet.
    """
    if not isinstance(spec, str | os.PathLike | Sequence):
        if hasattr(spec, "records") and hasattr(spec, "read"):
            if not isinstance(spec, FileSource):
                with suppress(TypeError):  # of a class with __slots__ nothing can be remembered
                    _given[spec.spec] = spec
            return spec
        raise NoImages(f"images are a path, a list of paths or an ImageSource, not {type(spec).__name__}")
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        return _from_paths(spec)
    text = os.fspath(spec)
    if not text:
        raise NoImages("no images are named: what should name them is empty; give a folder, or . for this one")
    if text in _given:
        return _given[text]
    several = text.split(BETWEEN)
    if len(several) > 1 and all(map(_is_source, several)):
        return _joined([open_source(one) for one in several])
    prefix, _, name = text.partition(":")
    if name and prefix in _SOURCES:
        return _SOURCES[prefix](name)
    if is_address(text):
        return _at_address(text)
    path = os.path.abspath(os.path.expanduser(text))
    of_shards = _of_shards(path)
    if of_shards is not None:
        return of_shards
    if name and not os.path.exists(path):
        plugin = find_plugin(IMAGES, prefix)
        if plugin is not None:
            return _from_plugin(plugin, name, text)
    return FileSource(path, _entries(text, path))


def _packaged(name: str) -> ImageSource:
    return FileSource(f"packaged:{name}", list_packaged(name))


# By what stands before the colon; each takes what stands behind it.
_SOURCES: dict[str, Callable[[str], ImageSource]] = {
    "packaged": _packaged,
    "parquet": ParquetSource,
    "wds": WebDataset,
    "hf-dataset": HfDataset,
}


_OF_SHARDS: tuple[tuple[tuple[str, ...], Callable[[str], ImageSource]], ...] = (
    (parquet.SUFFIXES, ParquetSource), (webdataset.SUFFIXES, WebDataset),
)  # fmt: skip


def _is_source(text: str) -> bool:
    """Whether it looks like one by itself: a path or address may have a plus in it."""
    prefix, _, name = text.partition(":")
    return (
        text in _given
        or bool(name and prefix in _SOURCES)
        or is_address(text)
        or os.path.exists(os.path.expanduser(text))
        or (bool(name) and find_plugin(IMAGES, prefix) is not None)
    )


def _joined(sources: Sequence[ImageSource]) -> ImageSource:
    joined = JoinedPhotos(sources)
    if not all(isinstance(source, FileSource) for source in sources):
        return joined
    return FileSource(joined.spec, ((record.path, record.columns) for record in joined.records))


def _of_shards(path: str) -> ImageSource | None:
    """For a file of many photos, or a folder that holds such files and no photos beside them."""
    for suffixes, make in _OF_SHARDS:
        if path.lower().endswith(suffixes) and os.path.isfile(path):
            return make(path)
        if os.path.isdir(path) and not has_images(path) and shards_in(path, suffixes):
            return make(path)
    return None


def _at_address(text: str) -> ImageSource:
    """Shards by how their names end; else what lies in a folder of an object store."""
    end = text.partition("?")[0].lower()
    for suffixes, make in _OF_SHARDS:
        if end.endswith(suffixes):
            return make(text)
    if is_web(text):
        raise NoImages(f"{text}: of a web server, .tar and .parquet files can be read, each by its address", spec=text)
    photos, ends = Remotes(), set()
    for file in files_in(text):
        if is_image_name(file.url.rpartition("/")[2]):
            photos.append(file)
        else:
            ends.add(os.path.splitext(file.url)[1].lower())
    if photos:
        return BucketPhotos(text, photos)
    for suffixes, make in _OF_SHARDS:
        if not ends.isdisjoint(suffixes):
            return make(text)
    raise NoImages(
        f"no images in {text} or its sub-folders, one level deep (looked for {', '.join(EXTENSIONS)}, and for .tar and "
        ".parquet)",
        spec=text,
    )


_NOT_EVERY_SOURCE_HAS = ("read_reduced", "blocks", "content_sha256", "content_of", "home_of", "parts")


class NamedSource:
    """A plug-in's source by the spec that leads to it again, whatever it calls itself."""

    def __init__(self, spec: str, source: ImageSource):
        self.spec = spec
        self._source = source

    def __getattr__(self, name: str) -> Any:
        if name not in _NOT_EVERY_SOURCE_HAS:
            raise AttributeError(name)
        return getattr(self._source, name)

    @property
    def column_names(self) -> Sequence[str]:
        return self._source.column_names

    @property
    def records(self) -> Sequence[ImageRecord]:
        return self._source.records

    def read(self, image_id: int) -> Image.Image:
        return self._source.read(image_id)


class FileSource(ListedPhotos):
    """Photos in files. `spec` and the records' paths are absolute, so they hold from any working folder.

    is_found_by_spec: whether `spec` leads to the same photos in the same order again
    """

    def __init__(self, spec: str, entries: Iterable[Entry], is_found_by_spec: bool = True):
        self.spec = spec
        self.is_found_by_spec = is_found_by_spec
        self._records = Records.of(entries)

    def _photo(self, image_id: int, wanted_px: int | None) -> Image.Image:
        return read_photo(self._records.paths[image_id], wanted_px)


def _from_plugin(plugin: Plugin, name: str, spec: str) -> ImageSource:
    """An ImageSource, or a list of paths, as the plug-in's function gives it."""
    made = plugin.call(name)
    if hasattr(made, "records") and hasattr(made, "read"):
        return NamedSource(spec, made)
    if isinstance(made, Sequence) and not isinstance(made, str):
        return NamedSource(spec, _from_paths(made))
    raise NoImages(
        f"{spec}: the plug-in of {plugin.package} gives {type(made).__name__}; it should give an ImageSource or a list "
        "of paths",
        spec=spec,
    )


def _entries(spec: str, path: str) -> Iterable[Entry]:
    if os.path.isdir(path):
        return list_folder(path)
    if not os.path.exists(path):
        raise NoImages(
            f'"{spec}" does not exist; give {KINDS}',
            spec=spec,
        )
    lower = path.lower()
    if lower.endswith(".txt"):
        return list_text(path)
    if lower.endswith(".csv"):
        return list_csv(path)
    if is_image_name(os.path.basename(path)):
        return [(path, {})]
    raise NoImages(
        f'"{spec}" is no image source; give {KINDS}',
        spec=spec,
    )


def _from_paths(paths: Sequence[str | os.PathLike[str]]) -> FileSource:
    if not paths:
        raise NoImages("the list of images is empty; give at least one path")
    wrong = next((path for path in paths if not isinstance(path, str | os.PathLike)), None)
    if wrong is not None:
        raise NoImages(f"a list of images holds paths, not {type(wrong).__name__}; save the pictures as files first")
    entries: Iterable[Entry] = ((os.path.abspath(os.path.expanduser(path)), {}) for path in paths)
    return FileSource(f"a list of {len(paths):,} paths", entries, is_found_by_spec=False)
