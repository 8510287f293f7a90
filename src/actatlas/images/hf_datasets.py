"""Photos of Hugging Face's `datasets`: hf-dataset:NAME_OR_FOLDER?split=train&column=image&streaming=true&limit=10000.

A dataset on the hub, a folder that `save_to_disk` wrote, or a folder of images or Parquet files as `load_dataset` takes
it. Decoding is ours, so a photo that cannot be read is skipped with its reason and does not end the dataset.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from actatlas.errors import ActatlasError, MissingExtra, NoImages, OutOfReach, UnreadableImage, first_line
from actatlas.images.decoding import MAX_FILE_BYTES, TOO_LARGE, decode, read_photo
from actatlas.images.listed import ListedPhotos
from actatlas.images.records import Entry, Records, as_texts
from actatlas.images.shards import split_options
from actatlas.values import Blocks

PREFIX = "hf-dataset:"
OPTIONS = ("split", "column", "label", "config", "revision", "streaming", "limit")
_BLOCK_PHOTOS = 256  # of a stream, read together
_BLOCKS_AT_ONCE = 2


class HfDataset(ListedPhotos):
    """Photos in the order of the dataset. All columns of plain values come along; of classes, their names.

    A streamed dataset is listed by one pass, and collected by another, in its order.
    """

    def __init__(self, text: str):
        """text: what stands behind hf-dataset:. Raises NoImages, MissingExtra without `datasets`."""
        if importlib.util.find_spec("datasets") is None:
            raise MissingExtra("datasets", "datasets", f"{PREFIX}{text}")
        name, self._options = split_options(PREFIX, text, OPTIONS)
        if os.path.isdir(os.path.expanduser(name)):
            name = os.path.abspath(os.path.expanduser(name))
        query = "&".join(f"{key}={value}" for key, value in self._options.items())
        self.spec = f"{PREFIX}{name}{'?' if query else ''}{query}"
        whose = ("config", "revision", "split")  # not how many, which column, or how they are read
        self._dataset = " ".join([f"{PREFIX}{name}", *(self._options.get(option, "") for option in whose)])
        with _said(self.spec):
            rows = _limited(_opened(self.spec, name, self._options), _limit(self.spec, self._options))
            features = rows.features or rows._resolve_features().features  # streams may say what they hold only then
            self._column = _image_column(self.spec, features, self._options.get("column"))
            label = self._options.get("label")
            if label is not None and label not in _plain(features, self._column):
                plain = ", ".join(_plain(features, self._column)) or "none"
                raise NoImages(f"{self.spec}: {label} is no column of plain values; there are: {plain}", spec=self.spec)
            self._rows = _with_bytes(rows, self._column)
            self._records = Records.of(_entries(_undecoded(rows, features), features, self._column, label))
        if not len(self._records):
            raise NoImages(f"{self.spec} holds no rows; name another split", spec=self.spec)
        self.content_sha256 = hashlib.sha256(repr((rows.info.dataset_size, len(self._records))).encode()).hexdigest()
        if self._options.get("streaming") == "true":
            starts = np.arange(0, len(self._records), _BLOCK_PHOTOS, dtype=np.int64)
            self.blocks = Blocks(starts, _BLOCKS_AT_ONCE, is_stream=True)
            self._stream = _Stream(self._rows)

    def home_of(self, image_id: int) -> str:
        """Its row: of a dataset the first thousand rows are the same as in one of two thousand."""
        return f"{self._dataset} row {image_id}"

    def _photo(self, image_id: int, wanted_px: int | None) -> Image.Image:
        try:
            row = self._stream.row(image_id) if hasattr(self, "_stream") else self._rows[int(image_id)]
            photo = row[self._column] or {}
        except (UnreadableImage, OutOfReach):
            raise
        except Exception as error:  # hubs, file systems and Arrow fail in many ways
            raise UnreadableImage(f"its row cannot be read: {first_line(error)}") from None
        content, path = photo.get("bytes"), photo.get("path")
        if content is not None:
            return decode(content, wanted_px)
        if not path:
            raise UnreadableImage("the row has no bytes")
        return read_photo(path, wanted_px) if os.path.isabs(path) else decode(_remote_bytes(path), wanted_px)


class _Stream:
    """Rows of a dataset that only goes forward. Blocks passed last are kept; what lies before them begins it anew."""

    def __init__(self, rows: Any):
        self._rows = rows
        self._lock = threading.Lock()
        self._held: OrderedDict[int, Any] = OrderedDict()
        self._batches: Iterator[Any] | None = None
        self._next = 0

    def row(self, number: int) -> dict[str, Any]:
        block = number // _BLOCK_PHOTOS
        with self._lock:
            if self._batches is None or (block not in self._held and block < self._next):
                self._batches, self._next = self._rows.iter(batch_size=_BLOCK_PHOTOS), 0
            while block not in self._held:
                try:
                    batch = next(self._batches, None)
                except Exception as error:  # hubs and file systems fail in many ways
                    self._batches = None  # it ends with its first failure
                    self._held.clear()
                    raise OutOfReach(
                        f"row {number} of the dataset cannot be read ({type(error).__name__}: {first_line(error)}); "
                        "check the connection, and run the command again"
                    ) from None
                if batch is None:
                    raise UnreadableImage("the dataset ends before it")
                self._held[self._next] = batch
                self._next += 1
                if len(self._held) > 2 * _BLOCKS_AT_ONCE:
                    self._held.popitem(last=False)
            held = self._held[block]
        return {name: values[number % _BLOCK_PHOTOS] for name, values in held.items()}

    def __reduce__(self) -> tuple[Any, ...]:  # without what is held
        return _Stream, (self._rows,)


@contextmanager
def _said(spec: str) -> Iterator[None]:
    """What goes wrong in the package, as one sentence."""
    try:
        yield
    except ActatlasError:
        raise
    except Exception as error:  # hubs, builders and files fail in many ways
        raise NoImages(
            f"{spec} cannot be had ({type(error).__name__}: {first_line(error)}); check the name, its options and the "
            "connection",
            spec=spec,
        ) from error


def _opened(spec: str, name: str, options: Mapping[str, str]) -> Any:
    """One split."""
    import datasets

    streaming = options.get("streaming", "false")
    if streaming not in ("true", "false"):
        raise NoImages(f"{spec}: streaming is true or false, not {streaming}", spec=spec)
    is_saved = any(os.path.exists(os.path.join(name, file)) for file in ("state.json", "dataset_dict.json"))
    if is_saved:
        found = datasets.load_from_disk(name)
        rows = found[_split(spec, list(found), options)] if isinstance(found, datasets.DatasetDict) else found
        return rows.to_iterable_dataset() if streaming == "true" else rows
    where = {"path": name, "name": options.get("config"), "revision": options.get("revision")}
    splits = datasets.get_dataset_split_names(name, options.get("config"), revision=options.get("revision"))
    return datasets.load_dataset(**where, split=_split(spec, splits, options), streaming=streaming == "true")


def _split(spec: str, there: Sequence[str], options: Mapping[str, str]) -> str:
    wanted = options.get("split", "train" if "train" in there else there[0] if len(there) == 1 else "")
    if wanted not in there:
        told = f"has no split {wanted}" if wanted else "has several splits"
        raise NoImages(f"{spec} {told}; name one: ?split={there[0]} (there are {', '.join(there)})", spec=spec)
    return wanted


def _limit(spec: str, options: Mapping[str, str]) -> int | None:
    text = options.get("limit")
    if text is not None and not (text.isdecimal() and int(text) > 0):
        raise NoImages(f"{spec}: limit is a number of photos, not {text}", spec=spec)
    return None if text is None else int(text)


def _limited(rows: Any, limit: int | None) -> Any:
    if limit is None:
        return rows
    return rows.select(range(min(limit, len(rows)))) if hasattr(rows, "select") else rows.take(limit)


def _image_column(spec: str, features: Mapping[str, Any], wanted: str | None) -> str:
    import datasets

    found = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    binary = [name for name, feature in features.items() if getattr(feature, "dtype", "") in ("binary", "large_binary")]
    there = ", ".join(f"{name} ({_kind(feature)})" for name, feature in features.items())
    if wanted is not None and wanted not in (*found, *binary):
        raise NoImages(f"{spec}: {wanted} is no column of images; columns: {there}", spec=spec)
    if wanted is None and not (found or binary):
        raise NoImages(f"{spec} has no column of images; columns: {there}", spec=spec)
    return wanted or ("image" if "image" in found else (found or binary)[0])


def _kind(feature: Any) -> str:
    return getattr(feature, "dtype", "") if type(feature).__name__ == "Value" else type(feature).__name__


def _undecoded(rows: Any, features: Mapping[str, Any]) -> Any:
    import datasets

    for name, feature in features.items():
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(name, datasets.Image(decode=False))
    return rows


def _with_bytes(rows: Any, column: str) -> Any:
    """The photos as {bytes, path}, not decoded."""
    import datasets

    return rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))


def _entries(rows: Any, features: Mapping[str, Any], column: str, label: str | None) -> Iterator[Entry]:
    """rows: all columns. label: the column that is to be called so."""
    plain = _plain(features, column)
    called = {name: name for name in plain if label is None or name != "label"}
    if label is not None:
        called = {label: "label"} | {name: name for name in called if name != label}
    names = {name: getattr(features[name], "names", None) or [] for name in plain}
    number = 0
    for batch in rows.select_columns(list(called) or [column]).iter(batch_size=1024):
        columns = {called[name]: as_texts(batch[name], names[name]) for name in called}
        for k in range(len(next(iter(batch.values())))):
            yield f"row {number}", {name: texts[k] for name, texts in columns.items()}
            number += 1


def _plain(features: Mapping[str, Any], column: str) -> list[str]:
    """The columns of plain values."""
    import datasets

    return [
        name
        for name, feature in features.items()
        if isinstance(feature, datasets.ClassLabel)
        or (isinstance(feature, datasets.Value) and "binary" not in feature.dtype and name != column)
    ]


def _remote_bytes(path: str) -> bytes:
    from datasets.utils.file_utils import xopen

    try:
        with xopen(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except Exception as error:  # of fsspec's many file systems
        raise UnreadableImage(f"cannot be read: {first_line(error)}") from None
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableImage(TOO_LARGE)
    return content
