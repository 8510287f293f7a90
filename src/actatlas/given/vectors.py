"""What the columns of a table of vectors mean, and whether they can be: the checks that a user's own numbers pass."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actatlas.errors import BadVectors
from actatlas.images import open_source
from actatlas.values import ImageRecord, ImageSource

MOST = float(np.finfo(np.float16).max)  # vectors are stored so
_VECTORS = ("vectors", "vector", "embeddings", "embedding")
_PATHS = ("path", "paths", "image", "images")
_IDS = ("image_id", "image_ids")
_POINTS = ("layout", "points")
_BOX = ("left", "top", "right", "bottom")
_PLACE = ("position_row", "position_column")
REGIONS = ("cluster", "clusters", "label")  # taken for the names of regions where none was asked for


@dataclass(frozen=True)
class GivenVectors:
    """One row for each vector.

    name: what messages call them; sha256: of the vectors, and of what else came with each
    source: the photos, with the columns that hold for a whole photo
    vectors: (N, C) float32, finite
    image_ids: (N,) int64, ids in the source
    positions: (N, 2) float32, row and column in [0, 1), or None
    boxes: (N, 4) float32, left, top, right, bottom in [0, 1], or None
    points: (N, 2) float32 of the user's own layout, NaN where a row is to be left out; or None
    regions: (N,) of str, the part of the map that each belongs to; or None
    region_column: where those came from, or ""
    """

    name: str
    source: ImageSource
    vectors: np.ndarray
    image_ids: np.ndarray
    positions: np.ndarray | None
    boxes: np.ndarray | None
    points: np.ndarray | None
    regions: np.ndarray | None
    region_column: str

    @property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for array in (self.vectors, self.image_ids, self.positions, self.boxes, self.points):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
        digest.update(repr(None if self.regions is None else self.regions.tolist()).encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.vectors)


class _Columns:
    """Taken one by one; what nobody took came with the photos."""

    def __init__(self, columns: Mapping[str, np.ndarray], where: str):
        self.left, self.where = dict(columns), where

    def take(self, names: tuple[str, ...]) -> np.ndarray | None:
        found = [name for name in names if name in self.left]
        if len(found) > 1:
            raise BadVectors(f'{self.where} has both "{found[0]}" and "{found[1]}"; keep one of them')
        return self.left.pop(found[0]) if found else None

    def take_together(self, names: tuple[str, ...]) -> np.ndarray | None:
        """(N, len(names)), where all of these columns are there and hold numbers."""
        if not all(name in self.left for name in names):
            return None
        parts = [_numbers(self.left.pop(name), name, self.where).ravel() for name in names]
        if len({len(part) for part in parts}) > 1:
            raise BadVectors(f"{self.where}: {' and '.join(names[:4])} have different numbers of rows; give as many")
        return np.stack(parts, axis=1)


def take_vectors(
    columns: Mapping[str, np.ndarray],
    where: str,
    images: Any = None,
    points: np.ndarray | None = None,
    region_column: str = "",
) -> GivenVectors:
    """Raises BadVectors in one sentence for what cannot be, NoImages for photos that are not there.

    where: the file, or what messages call the table; paths in it are relative to its folder
    images: what the rows are of, as `open_source` takes it; None takes the table's own paths
    points: (N, 2) in place of those in the table
    """
    table = _Columns(columns, where)
    vectors = _vectors(table)
    n = len(vectors)
    positions = _fractions(table, "positions", _PLACE, n)
    boxes = _fractions(table, "boxes", _BOX, n)
    if boxes is not None and not ((boxes[:, :2] < boxes[:, 2:]).all()):
        row = int(np.argmin((boxes[:, :2] < boxes[:, 2:]).all(axis=1)))
        raise BadVectors(f"{where}, row {row}: a box is left, top, right, bottom, and {boxes[row].tolist()} is empty")
    own_points = _own_points(table)
    points = own_points if points is None else points
    if points is not None and len(points) != n:
        raise BadVectors(f"{where} has {n:,} vectors and the layout {len(points):,} points; give one for each vector")
    paths, ids = _texts(table.take(_PATHS)), table.take(_IDS)
    for name, values in [*table.left.items(), ("path", paths), ("image_id", ids)]:
        if values is not None and len(values) != n:
            raise BadVectors(f'{where}: "{name}" has {len(values):,} rows and the vectors have {n:,}; give as many')
    source, image_ids = _photos(table, images, paths, ids, n)
    regions, region_column = _regions(table, source, image_ids, region_column)
    return GivenVectors(where, source, vectors, image_ids, positions, boxes, points, regions, region_column)


def take_points(columns: Mapping[str, np.ndarray], where: str) -> np.ndarray:
    """(N, 2) float32 of a layout that has a file of its own. Raises BadVectors."""
    table = _Columns({"layout": columns["vectors"]} if list(columns) == ["vectors"] else columns, where)
    points = _own_points(table)
    if points is None:
        raise BadVectors(f'{where} has neither columns x and y nor an array "layout" of (N, 2); add them')
    return points


def _vectors(table: _Columns) -> np.ndarray:
    found = table.take(_VECTORS)
    if found is None:
        found = table.take_together(_numbered(list(table.left)))
    if found is None:
        raise BadVectors(
            f'{table.where} has no vectors: an array or a column of lists called "vectors" or "embedding", or columns '
            f"v0, v1, …; it has {', '.join(table.left) or 'nothing'}"
        )
    vectors = _numbers(found, "vectors", table.where)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise BadVectors(f"{table.where}: vectors are (N, C), a row each, not {vectors.shape}")
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise BadVectors(
            f"{table.where}, row {int(np.argmax(bad))}: a vector holds NaN or infinity, as do {int(bad.sum()):,} of "
            f"{len(bad):,}; leave these rows out"
        )
    if np.abs(vectors).max() > MOST:
        raise BadVectors(f"{table.where}: vectors reach {np.abs(vectors).max():.3g}; scale them below {MOST:,.0f}")
    return vectors


def _numbered(names: list[str]) -> tuple[str, ...]:
    """v0, v1, … in order: the most names of one beginning that count from 0 or 1; ("",) where there are none."""
    groups: dict[str, dict[int, str]] = {}
    for name in names:
        match = re.fullmatch(r"(.*?)(\d+)", name)
        if match:
            groups.setdefault(match[1], {})[int(match[2])] = name
    whole = [g for g in groups.values() if len(g) > 1 and max(g) - min(g) + 1 == len(g) and min(g) <= 1]
    best = max(whole, key=len, default={0: ""})
    return tuple(best[number] for number in sorted(best))


def _numbers(values: np.ndarray, name: str, where: str) -> np.ndarray:
    try:
        return np.asarray(values).astype(np.float32)
    except (TypeError, ValueError):
        raise BadVectors(f'{where}: "{name}" holds something other than numbers; leave that out') from None


def _texts(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else np.asarray(values).astype(str)


def _fractions(table: _Columns, name: str, columns: tuple[str, ...], n: int) -> np.ndarray | None:
    found = table.take((name,))
    found = table.take_together(columns) if found is None else _numbers(found, name, table.where)
    if found is None:
        return None
    if found.shape != (n, len(columns)):
        raise BadVectors(f"{table.where}: {name} are ({n}, {len(columns)}), a row for each vector, not {found.shape}")
    most = 1.0 if name == "boxes" else np.nextafter(np.float32(1), np.float32(0))
    if not ((found >= 0) & (found <= most)).all():
        raise BadVectors(
            f"{table.where}: {name} are fractions of the photo, 0 to 1, not {found.min()} to {found.max()}"
        )
    return found


def _own_points(table: _Columns) -> np.ndarray | None:
    found = table.take(_POINTS)
    found = table.take_together(("x", "y")) if found is None else _numbers(found, "layout", table.where)
    if found is None:
        return None
    if found.ndim != 2 or found.shape[1] != 2:
        raise BadVectors(f"{table.where}: a layout is (N, 2), x and y of each vector, not {found.shape}")
    if np.isinf(found).any():
        raise BadVectors(f"{table.where}: the layout holds infinity; NaN leaves a row out, all else is a place")
    if np.isnan(found).any(axis=1).all():
        raise BadVectors(f"{table.where}: the layout places no row; give x and y as numbers")
    return found


def _regions(table: _Columns, source: ImageSource, image_ids: np.ndarray, asked: str) -> tuple[np.ndarray | None, str]:
    """A column of the table, or of the photos' list."""
    there = [*table.left, *(name for name in source.column_names if name not in table.left)]
    if asked and asked not in there:
        raise BadVectors(
            f'{table.where} has no column "{asked}" for the regions; it has {", ".join(there) or "no further column"}'
        )
    name = asked or next((name for name in REGIONS if name in there), "")
    if not name:
        return None, ""
    if name in table.left:
        return _told(table.left[name]), name
    of_photo = np.array([str(record.columns.get(name, "")) for record in source.records])
    return of_photo[image_ids], name


def _told(values: np.ndarray) -> np.ndarray:
    """(N,) of str: 3.0, which pandas makes of 3 where a row has none, is "3"; what is missing is empty."""
    if values.dtype.kind == "f":
        return np.array(["" if np.isnan(v) else f"{v:g}" for v in values.ravel()])
    return np.asarray(values).astype(str)


def _photos(
    table: _Columns, images: Any, paths: np.ndarray | None, ids: np.ndarray | None, n: int
) -> tuple[ImageSource, np.ndarray]:
    """The source, and (N,) int64 which of its photos each row is of."""
    if images is None:
        if paths is None:
            raise BadVectors(
                f'{table.where} does not say which photo a row is of: add a column "path", or name the photos too: '
                "actatlas build PHOTOS --vectors FILE"
            )
        return _own_photos(table, paths)
    source = open_source(images)
    if ids is not None:
        return source, _checked_ids(table.where, ids, len(source.records))
    if paths is not None:
        return source, _ids_of_paths(table.where, source, paths)
    if n != len(source.records):
        raise BadVectors(
            f"{table.where} has {n:,} vectors and {source.spec} {len(source.records):,} photos; without a column "
            '"path" or "image_id" there must be one for each, in their order'
        )
    return source, np.arange(n)


def _checked_ids(where: str, ids: np.ndarray, count: int) -> np.ndarray:
    found = _numbers(ids, "image_id", where)
    if not ((found >= 0) & (found < count) & (found == np.floor(found))).all():
        raise BadVectors(f"{where}: image_id is a whole number from 0 to {count - 1}, the photo's place in the list")
    return np.asarray(ids).astype(np.int64)


def _folder_of(where: str) -> Path:
    return Path(where).parent if os.path.isabs(where) else Path.cwd()


def _ids_of_paths(where: str, source: ImageSource, paths: np.ndarray) -> np.ndarray:
    by_path = {record.path: record.id for record in source.records}
    folders = [Path(source.spec), Path(source.spec).parent, _folder_of(where)]
    found = np.empty(len(paths), np.int64)
    for row, path in enumerate(paths.tolist()):
        tried = [path, *(os.path.normpath(folder / path) for folder in folders)]
        known = next((by_path[one] for one in tried if one in by_path), None)
        if known is None:
            raise BadVectors(f"{where}, row {row}: {path} is none of the {len(by_path):,} photos of {source.spec}")
        found[row] = known
    return found


def _own_photos(table: _Columns, paths: np.ndarray) -> tuple[ImageSource, np.ndarray]:
    folder = _folder_of(table.where)
    whole = [os.path.normpath(folder / os.path.expanduser(path)) for path in paths.tolist()]
    distinct = {path: i for i, path in enumerate(dict.fromkeys(whole))}
    for row, path in enumerate(whole):
        if not os.path.isfile(path):
            raise BadVectors(f"{table.where}, row {row}: {path} does not exist; paths are relative to {folder}")
    image_ids = np.array([distinct[path] for path in whole], np.int64)
    told = _columns_of_photos(table.left, image_ids, len(distinct))
    records = [ImageRecord(i, path, {name: told[name][i] for name in told}) for path, i in distinct.items()]
    return _Photos(table.where, open_source(list(distinct)), records, tuple(told)), image_ids


def _columns_of_photos(columns: Mapping[str, np.ndarray], image_ids: np.ndarray, count: int) -> dict[str, list[str]]:
    """Of what nobody took, the columns that say one thing of each photo."""
    _, first = np.unique(image_ids, return_index=True)
    found = {}
    for name, values in columns.items():
        if values.ndim != 1:
            continue
        told = _told(values)
        of_photo = told[first]
        if (of_photo[image_ids] == told).all():
            found[name] = of_photo.tolist()
    return found


class _Photos:
    """The photos that a table names, with the table's columns."""

    def __init__(self, spec: str, files: ImageSource, records: list[ImageRecord], column_names: tuple[str, ...]):
        self.spec, self.column_names, self.records = spec, column_names, records
        self._files = files

    def read(self, image_id: int) -> Any:
        return self._files.read(image_id)

    def read_reduced(self, image_id: int, wanted_px: int) -> Any:
        """Like `read`, but a large JPEG comes at a fraction of its size, no side under `wanted_px`."""
        return self._files.read_reduced(image_id, wanted_px)  # type: ignore[attr-defined]
