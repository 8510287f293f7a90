"""`open_source`: what the user typed → an ordered, finite list of photos with stable ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from PIL import Image

from actatlas.errors import NoImages
from actatlas.images.decoding import read_photo
from actatlas.images.listing import Entry, is_image_name, list_csv, list_folder, list_text
from actatlas.images.packaged import list_packaged
from actatlas.plugins import IMAGES, Plugin, find_plugin
from actatlas.values import ImageRecord, ImageSource

# Sources that were given as values: within this process their spec leads to them.
_given: WeakValueDictionary[str, ImageSource] = WeakValueDictionary()

ImagesSpec = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | ImageSource


def open_source(spec: ImagesSpec) -> ImageSource:
    """The photos that `spec` names; ids are their places in the listing.

    spec: a folder (flat, or one sub-folder a class), a `.txt` list, a `.csv`, one image file, `packaged:demo`, or
    `PREFIX:NAME` of a plug-in (docs/plugins.md); from Python also a list of paths, or an ImageSource, which is given
    back.

    Raises NoImages where nothing is there, ImageError where a list cannot be understood, MissingExtra for packaged
    photos whose packages are not installed. Photos themselves are not opened yet.
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
    if text in _given:
        return _given[text]
    if text.startswith("packaged:"):
        return FileSource(text, list_packaged(text.removeprefix("packaged:")))
    path = os.path.abspath(os.path.expanduser(text))
    prefix, _, name = text.partition(":")
    if name and not os.path.exists(path):
        plugin = find_plugin(IMAGES, prefix)
        if plugin is not None:
            return _from_plugin(plugin, name, text)
    return FileSource(path, _entries(text, path))


class NamedSource:
    """A plug-in's source by the spec that leads to it again, whatever it calls itself."""

    def __init__(self, spec: str, source: ImageSource):
        self.spec = spec
        self._source = source

    def __getattr__(self, name: str) -> Any:
        if name != "read_reduced":  # which not every source has
            raise AttributeError(name)
        return self._source.read_reduced  # type: ignore[attr-defined]

    @property
    def column_names(self) -> Sequence[str]:
        return self._source.column_names

    @property
    def records(self) -> Sequence[ImageRecord]:
        return self._source.records

    def read(self, image_id: int) -> Image.Image:
        return self._source.read(image_id)


class FileSource:
    """Photos in files. `spec` and the records' paths are absolute, so they hold from any working folder."""

    def __init__(self, spec: str, entries: Sequence[Entry]):
        self.spec = spec
        self.column_names: tuple[str, ...] = tuple(entries[0][1]) if entries else ()
        self._records = tuple(ImageRecord(i, path, columns) for i, (path, columns) in enumerate(entries))

    @property
    def records(self) -> Sequence[ImageRecord]:
        return self._records

    def read(self, image_id: int) -> Image.Image:
        """The photo, upright, mode RGB. Raises UnreadableImage."""
        return read_photo(self._records[image_id].path)

    def read_reduced(self, image_id: int, wanted_px: int) -> Image.Image:
        """Like `read`, but a large JPEG comes at a half to an eighth of its size, no side under `wanted_px`."""
        return read_photo(self._records[image_id].path, wanted_px)

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"<{len(self):,} images of {self.spec}>"


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


def _entries(spec: str, path: str) -> list[Entry]:
    if os.path.isdir(path):
        return list_folder(path)
    if not os.path.exists(path):
        raise NoImages(
            f'"{spec}" does not exist; give a folder, a .txt list, a .csv with a path column, or packaged:demo',
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
        f'"{spec}" is no image source; give a folder, a .txt list, a .csv with a path column, or packaged:demo',
        spec=spec,
    )


def _from_paths(paths: Sequence[str | os.PathLike[str]]) -> FileSource:
    if not paths:
        raise NoImages("the list of images is empty; give at least one path")
    wrong = next((path for path in paths if not isinstance(path, str | os.PathLike)), None)
    if wrong is not None:
        raise NoImages(f"a list of images holds paths, not {type(wrong).__name__}; save the pictures as files first")
    return FileSource(
        f"a list of {len(paths):,} paths", [(os.path.abspath(os.path.expanduser(path)), {}) for path in paths]
    )
