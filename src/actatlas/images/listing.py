"""Where photos are listed: folders, text lists, CSV files → (path, columns) in a fixed order."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from actatlas.errors import ImageError, NoImages
from actatlas.images.addresses import is_address
from actatlas.images.records import Entry

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_NUMBER = re.compile(r"\d+")


def is_image_name(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(EXTENSIONS)


def list_folder(folder: str) -> Iterator[Entry]:
    """Images directly in `folder` and in its sub-folders, one level deep, in natural order (2 before 10).

    With sub-folders their name is the column `label` (empty for images beside them). Links to files are followed, links
    to folders are not; hidden names are left out. Raises NoImages.
    """
    labels: dict[str, str] = {}
    sub_folders = []
    for entry in _scan(folder):
        if entry.is_dir(follow_symlinks=False):
            sub_folders.append(entry.name)
        elif is_image_name(entry.name) and not _leads_to_folder(entry):
            labels[entry.name] = ""
    deeper = None
    for name in sub_folders:
        for entry in _scan(os.path.join(folder, name)):
            if entry.is_dir(follow_symlinks=False):
                deeper = deeper or os.path.join(folder, name)
            elif is_image_name(entry.name) and not _leads_to_folder(entry):
                labels[os.path.join(name, entry.name)] = name
    if not labels:
        hint = f"; {deeper} holds folders: name that one" if deeper else ""
        raise NoImages(
            f"no images in {folder} or its sub-folders, one level deep (looked for {', '.join(EXTENSIONS)}){hint}",
            spec=folder,
        )
    has_classes = any(labels.values())
    paths = sorted(labels, key=natural_order)
    return ((os.path.join(folder, path), {"label": labels[path]} if has_classes else {}) for path in paths)


def has_images(folder: str) -> bool:
    """Whether an image lies in the folder or in its sub-folders, one level deep. Raises NoImages as `list_folder`."""
    sub_folders = []
    for entry in _scan(folder):
        if is_image_name(entry.name):
            return True
        if entry.is_dir(follow_symlinks=False):
            sub_folders.append(entry.path)
    return any(is_image_name(entry.name) for sub_folder in sub_folders for entry in _scan(sub_folder))


def list_text(file: str) -> Iterator[Entry]:
    """One path a line, relative to the list; empty lines and those that begin with # are left out.

    Raises NoImages, or ImageError for what is not text.
    """
    folder, is_empty = os.path.dirname(file), True
    with _opened(file) as stream:
        for number, line in enumerate(stream, 1):
            path = line.strip()
            if path and not path.startswith("#"):
                is_empty = False
                _require_path(file, number, path)
                yield os.path.normpath(os.path.join(folder, path)), {}
    if is_empty:
        raise NoImages(f"no images in {file}: it names no path; write one path a line, relative to the list", spec=file)


def list_csv(file: str) -> Iterator[Entry]:
    """Rows of a comma-separated file whose first column is `path`, relative to it; the others are kept as strings.

    Raises NoImages where there are no rows, ImageError where a row does not fit the header.
    """
    folder, is_empty = os.path.dirname(file), True
    with _opened(file, newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            names = _checked_header(file, next(reader, []))
            for row in reader:
                if any(cell.strip() for cell in row):
                    is_empty = False
                    path = _checked_path(file, reader.line_num, names, row)
                    yield os.path.normpath(os.path.join(folder, path)), dict(zip(names[1:], row[1:], strict=True))
        except csv.Error as error:
            raise ImageError(
                f"{file}, line {reader.line_num}: not a readable CSV ({error}); check its quotes"
            ) from None
    if is_empty:
        raise NoImages(f"no images in {file}: it has a header and no rows", spec=file)


def natural_order(path: str) -> tuple[str, str]:
    """A sort key: numbers by value, letters without case, ties by the path itself."""
    return _NUMBER.sub(_by_value, path.casefold()), path


def _by_value(number: re.Match[str]) -> str:
    """Digits that sort as their number does: before any letter, and longer ones behind shorter ones."""
    digits = str(int(number[0]))  # of any script: int() reads every digit that \d finds
    return f"\0{chr(len(digits))}{digits}"


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: listed, and skipped with the reason
        return False


def _scan(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        raise NoImages(f"{folder} cannot be listed: {error.strerror}; check its permissions", spec=folder) from None


@contextmanager
def _opened(file: str, newline: str | None = None) -> Iterator[TextIO]:
    """A list's text, read as it is gone through: it may have millions of lines."""
    try:
        with open(file, encoding="utf-8-sig", newline=newline) as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise ImageError(f"{file} is not UTF-8 text (byte {_first_bad_byte(file, error)}); save it as UTF-8") from None
    except OSError as error:
        raise NoImages(f"{file} cannot be read: {error.strerror}", spec=file) from None


def _first_bad_byte(file: str, error: UnicodeDecodeError) -> int:
    """`error` counts from the piece that was being read."""
    with open(file, "rb") as stream:
        try:
            stream.read().decode("utf-8-sig")
        except UnicodeDecodeError as of_all:
            return of_all.start
    return error.start


def _checked_header(file: str, header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    if not names or names[0] != "path":
        found = f'"{names[0]}"' if names else "nothing"
        raise ImageError(
            f'{file}: the first column must be "path", found {found}; add a header line that begins with path'
        )
    if "" in names:
        raise ImageError(f"{file}: column {names.index('') + 1} has no name; give each column one in the first line")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ImageError(f'{file}: column "{twice[0]}" stands twice in the first line; rename one of them')
    return names


def _checked_path(file: str, line: int, names: list[str], row: list[str]) -> str:
    if len(row) != len(names):
        raise ImageError(
            f"{file}, line {line}: {len(row)} cells where the header has {len(names)} columns; quote cells with commas"
        )
    path = row[0].strip()
    if not path:
        raise ImageError(f"{file}, line {line}: the path is empty")
    _require_path(file, line, path)
    return path


def _require_path(file: str, line: int, path: str) -> None:
    if is_address(path):
        raise ImageError(
            f"{file}, line {line}: {path} is an address, and lists name files on disk; name the folder or the shards "
            "that the photos lie in: actatlas build s3://…"
        )
