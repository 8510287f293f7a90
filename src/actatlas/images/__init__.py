"""Image specs → decoded photos: a folder, a text list, a CSV, one file, `packaged:demo`, or a Python list of paths."""

from actatlas.images.decoding import (
    FORMATS,
    MAX_FILE_BYTES,
    MAX_PIXELS,
    decode,
    read_named,
    read_photo,
    without_waiting,
)
from actatlas.images.isolation import IsolationSettings, isolated_decoding
from actatlas.images.joined import JoinedPhotos
from actatlas.images.source import FileSource, ImagesSpec, open_source

__all__ = [
    "FORMATS",
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "FileSource",
    "ImagesSpec",
    "IsolationSettings",
    "JoinedPhotos",
    "decode",
    "isolated_decoding",
    "open_source",
    "read_named",
    "read_photo",
    "without_waiting",
]
