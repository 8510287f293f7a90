"""Parquet files with the photos' bytes in a column: parquet:PATH?column=image, FILE.parquet, or their addresses.

The column is binary, or what Hugging Face writes, {bytes, path}. Other columns of plain values come along as text. A
row group is read when one of its photos is; the column's pages alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from actatlas.errors import ImageError, MissingExtra, NoImages, OutOfReach, UnreadableImage, first_line
from actatlas.images.addresses import Remote, is_address
from actatlas.images.blocks import BlockCache
from actatlas.images.decoding import decode
from actatlas.images.listed import ListedPhotos
from actatlas.images.records import Entry, Records, as_texts
from actatlas.images.remote import RemoteFile, described
from actatlas.images.shards import ShardSpec, read_spec
from actatlas.values import Blocks

SUFFIXES = (".parquet", ".pq")
OPTIONS = ("column",)
# Row groups held at a time are together no larger than this, where a single one is not larger already.
_HELD_BYTES = 128 * 2**20
_MOST_GROUPS = 8
_LARGEST_GROUP_BYTES = 2 * 2**30
_THREADS = 8  # that ask for files at addresses
_LIKELY_NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "content")


@dataclass(frozen=True)
class _RowGroup:
    """file: number of the file; number: in it; rows: how many; size: of its photos, in bytes"""

    file: int
    number: int
    rows: int
    size: int


File = str | Remote  # a path, or what was found at an address


class ParquetSource(ListedPhotos):
    """Photos in rows. Ids are the places of the rows, files in natural order of their names."""

    def __init__(self, text: str):
        """text: what stands behind parquet:. Raises NoImages, ImageError, MissingExtra without pyarrow."""
        if importlib.util.find_spec("pyarrow") is None:
            raise MissingExtra("pyarrow", "parquet", f"reading photos from {text}")
        found = read_spec("parquet", text, SUFFIXES, OPTIONS)
        self.spec = found.spec
        self._files = _files(found)
        self._leaf = _image_leaf(found, self._files[0])
        self._groups, self._hashes = _row_groups(found, self._files, self._leaf)
        self.content_sha256 = self._hashes[-1][1]
        self._records = Records.of(_entries(found, self._files, self._leaf))
        _drop_empty_names(self._records)
        if not len(self._records):
            raise NoImages(f"{self.spec} holds no rows; name files with photos", spec=self.spec)
        self.blocks = _blocks(self._groups)
        self._bytes = BlockCache(self._read_group, 2 * self.blocks.at_once)

    def home_of(self, image_id: int) -> str:
        """Its file: a path or an address."""
        return _name(self._files[self._groups[self.blocks.of(image_id)].file])

    def content_of(self, count: int) -> str | None:
        """What `content_sha256` was when there were only the files of the first `count` photos."""
        return next((digest for rows, digest in self._hashes if rows == count), None)

    def _photo(self, image_id: int, wanted_px: int | None) -> Image.Image:
        return decode(self.read_bytes(image_id), wanted_px)

    def read_bytes(self, image_id: int) -> bytes:
        """As the file has them. Raises UnreadableImage."""
        block = self.blocks.of(image_id)
        content = self._bytes(block)[image_id - int(self.blocks.starts[block])].as_py()
        if content is None:
            raise UnreadableImage("the row has no bytes")
        return content

    def _read_group(self, block: int) -> Any:
        """The photos of a row group, a pyarrow array of bytes."""
        import pyarrow as pa

        group = self._groups[block]
        try:
            table = _opened(self._files[group.file]).read_row_group(group.number, columns=[self._leaf])
            column = table.column(0)
            while pa.types.is_struct(column.type):
                column = column.combine_chunks().field(0) if column.num_chunks == 1 else pa.chunked_array(
                    [chunk.field(0) for chunk in column.chunks]
                )  # fmt: skip
        except OutOfReach:
            raise
        except (OSError, ValueError, IndexError, KeyError, ImageError) as error:  # pyarrow's errors are these too
            raise UnreadableImage(f"its row group cannot be read: {first_line(error)}") from None
        if len(column) != group.rows:
            raise UnreadableImage("the file has changed since it was listed")
        return column


def _files(found: ShardSpec) -> list[File]:
    if not is_address(found.places[0]):
        return list(found.places)
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(described, found.places))


def _name(file: File) -> str:
    return file.url if isinstance(file, Remote) else file


def _opened(file: File) -> Any:
    """A pyarrow ParquetFile. Raises ImageError for what is none, NoImages where an address gives nothing."""
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(RemoteFile(file) if isinstance(file, Remote) else file, pre_buffer=True)
    except NoImages:
        raise
    except (OSError, ValueError) as error:
        path = _name(file)
        raise ImageError(
            f"{path} is no whole Parquet file ({first_line(error)}); fetch or write it again", path=path
        ) from None


def _image_leaf(found: ShardSpec, first: File) -> str:
    """The column of bytes as Parquet names it: image, or image.bytes."""
    import pyarrow as pa

    schema = _opened(first).schema_arrow

    def leaf(field: Any) -> str | None:
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            return field.name
        if pa.types.is_struct(field.type) and any(part.name == "bytes" for part in field.type):
            return f"{field.name}.bytes"
        return None

    leaves = {field.name: name for field in schema if (name := leaf(field)) is not None}
    there = ", ".join(f"{field.name} ({field.type})" for field in schema) or "none"
    wanted = found.options.get("column")
    if wanted is not None:
        if wanted not in leaves:
            raise NoImages(f"{found.spec}: {wanted} is no column of images; columns: {there}", spec=found.spec)
        return leaves[wanted]
    likely = [name for name in _LIKELY_NAMES if name in leaves] or list(leaves)
    if not leaves:
        raise NoImages(
            f"{found.spec} has no column of images (bytes, or a struct with bytes); columns: {there}", spec=found.spec
        )
    if len(likely) > 1 and len(leaves) > 1 and likely[0] != "image":
        raise NoImages(
            f"{found.spec} has several columns of bytes: {', '.join(leaves)}; name one: "
            f"parquet:{found.places[0]}?column={likely[0]}",
            spec=found.spec,
        )
    return leaves[likely[0]]


def _row_groups(
    found: ShardSpec, files: Sequence[File], leaf: str
) -> tuple[tuple[_RowGroup, ...], list[tuple[int, str]]]:
    """All with rows, in order; and for each file the rows so far, and a hash of what the files' ends so far say."""
    groups, hashes, digest = [], [], hashlib.sha256()
    for number, (file, name) in enumerate(zip(files, found.names, strict=True)):
        place, metadata = _name(file), _opened(file).metadata
        column = _column_number(metadata, leaf)
        if column is None:
            there = sorted({metadata.schema.column(i).path for i in range(metadata.num_columns)})
            raise ImageError(
                f"{place} has no column {leaf}, which {found.places[0]} has; it has {', '.join(there)}", path=place
            )
        digest.update(repr((name, metadata.num_rows, metadata.serialized_size)).encode())
        for index in range(metadata.num_row_groups):
            chunk = metadata.row_group(index).column(column)
            size = chunk.total_uncompressed_size
            if size > _LARGEST_GROUP_BYTES:
                raise ImageError(
                    f"{place}: row group {index} holds {size / 2**30:.1f} GB of images in one piece, the limit is 2 "
                    "GB; write the file with smaller ones (row_group_size=1000)",
                    path=place,
                )
            digest.update(repr((index, chunk.num_values, chunk.file_offset, chunk.data_page_offset, size)).encode())
            if metadata.row_group(index).num_rows:
                groups.append(_RowGroup(number, index, metadata.row_group(index).num_rows, size))
        hashes.append((sum(group.rows for group in groups), digest.hexdigest()))
    return tuple(groups), hashes


def _column_number(metadata: Any, leaf: str) -> int | None:
    return next((i for i in range(metadata.num_columns) if metadata.schema.column(i).path == leaf), None)


def _blocks(groups: Sequence[_RowGroup]) -> Blocks:
    starts = np.concatenate([[0], np.cumsum([group.rows for group in groups])])[:-1].astype(np.int64)
    largest = max(max(group.size for group in groups), 1)
    return Blocks(starts, min(max(_HELD_BYTES // largest, 1), _MOST_GROUPS))


def _entries(found: ShardSpec, files: Sequence[File], leaf: str) -> Iterator[Entry]:
    schema = _opened(files[0]).schema_arrow
    names, labels = _plain_columns(schema, leaf), _class_names(schema)
    beside = leaf.removesuffix("bytes") + "path" if "." in leaf else ""
    wanted = [*names, *([beside] if beside else [])]
    for place, name in zip(files, found.names, strict=True):
        file = _opened(place)
        there = {file.metadata.schema.column(i).path for i in range(file.metadata.num_columns)}
        row = 0
        read = [column for column in wanted if column in there]
        for batch in _batches(file, _name(place), read):
            columns = {column: _texts(batch, column, labels) for column in read}
            for k in range(batch.num_rows):
                own = {column: columns[column][k] if column in columns else "" for column in names}
                if beside:
                    own["file_name"] = columns[beside][k] if beside in columns else ""
                yield f"{name}:{row}", own
                row += 1


def _batches(file: Any, place: str, columns: list[str]) -> Iterator[Any]:
    try:
        if columns:
            yield from file.iter_batches(batch_size=4096, columns=columns)
        else:
            yield from (_Empty(file.metadata.row_group(i).num_rows) for i in range(file.metadata.num_row_groups))
    except (OSError, ValueError) as error:
        raise ImageError(f"{place} cannot be read ({first_line(error)}); fetch it again", path=place) from None


@dataclass(frozen=True)
class _Empty:
    """Rows without columns."""

    num_rows: int


def _plain_columns(schema: Any, leaf: str) -> list[str]:
    """Names of the columns that hold one plain value a row."""
    import pyarrow.types as kinds

    def is_plain(kind: Any) -> bool:
        if kinds.is_dictionary(kind):
            kind = kind.value_type
        tests = (kinds.is_string, kinds.is_large_string, kinds.is_integer, kinds.is_floating, kinds.is_boolean,
                 kinds.is_date, kinds.is_timestamp, kinds.is_decimal)  # fmt: skip
        return any(test(kind) for test in tests)

    return [field.name for field in schema if is_plain(field.type) and field.name != leaf]


def _class_names(schema: Any) -> dict[str, list[str]]:
    """Of the columns that Hugging Face's `datasets` wrote as ClassLabel: what their numbers mean."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: [str(label) for label in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, RecursionError):  # not from there
        return {}


def _texts(batch: Any, column: str, labels: dict[str, list[str]]) -> list[str]:
    head, _, inner = column.partition(".")
    values = batch.column(head) if inner and head in batch.schema.names else batch.column(column)
    if inner and head in batch.schema.names:
        values = values.field(inner)
    return as_texts(values.to_pylist(), labels.get(column, []))


def _drop_empty_names(records: Records) -> None:
    """The files' names beside the bytes, where no row has one."""
    column = records.columns.get("file_name")
    if column is not None and not any(column[number] for number in range(len(column))):
        del records.columns["file_name"]
