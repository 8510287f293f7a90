"""One file → an upright RGB photo, or UnreadableImage with a short reason.

Nothing else escapes, and Pillow's warnings stay inside.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import cast

from PIL import Image, UnidentifiedImageError

from actatlas.errors import UnreadableImage
from actatlas.preprocessing import upright_rgb

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_FILE_BYTES = 64 * 2**20
TOO_LARGE = f"larger than {MAX_FILE_BYTES // 2**20} MB"
# Pillow's own threshold for a "decompression bomb"; where a program has raised Pillow's, ours still holds.
MAX_PIXELS = 89_478_485
# Of a JPEG; encoders write some ten, and a hostile file thousands, each of which takes as long as the picture is large.
MOST_SCANS = 100
_SCAN = b"\xff\xda"  # never within a scan's data, where a zero follows each 0xff
# Photos below this are decoded whole even where a reduced size would do: they are fast, and stay exact.
REDUCED_ABOVE_PIXELS = 2_000_000


def read_photo(path: str | os.PathLike[str], wanted_px: int | None = None) -> Image.Image:
    """The first frame, upright, mode RGB.

    wanted_px: the shorter side that the caller needs at least. A JPEG of more than 2 million pixels is then decoded at
    1/2, 1/4 or 1/8 where that is no smaller; the result depends on the file and `wanted_px` alone.

    Raises UnreadableImage; never anything else for a bad file.
    """
    return decode(_read_bytes(path), wanted_px)


def read_named(path: str | os.PathLike[str], what: str) -> Image.Image:
    """A photo that somebody named. what: it is for, such as "the patch". Raises UnreadableImage that says where."""
    try:
        return read_photo(path)
    except UnreadableImage as error:
        raise UnreadableImage(f"{what} {os.fspath(path)} cannot be used: {error.reason}") from None


def decode(content: bytes, wanted_px: int | None = None) -> Image.Image:
    """Like `read_photo`, from a file's bytes."""
    if not content:
        raise UnreadableImage("the file is empty")
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableImage(TOO_LARGE)
    return _decode_here(content, wanted_px) if _elsewhere is None else _elsewhere(content, wanted_px)


@contextmanager
def decode_by(other: Callable[[bytes, int | None], Image.Image]) -> Iterator[None]:
    """While it holds, `other` decodes in this process, for all threads."""
    global _elsewhere
    before, _elsewhere = _elsewhere, other
    try:
        yield
    finally:
        _elsewhere = before


def _decode_here(content: bytes, wanted_px: int | None) -> Image.Image:
    try:
        with _PILLOW_IS_QUIET, Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _refuse_bomb(image)
            if image.format in ("JPEG", "MPO") and content.count(_SCAN) > MOST_SCANS:
                raise UnreadableImage(f"more than {MOST_SCANS} scans")
            if wanted_px is not None and image.format == "JPEG" and image.width * image.height > REDUCED_ABOVE_PIXELS:
                image.draft(None, (wanted_px, wanted_px))
            image.load()
            return upright_rgb(image)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError:
        raise UnreadableImage(_too_many_pixels("more pixels")) from None
    except UnidentifiedImageError:
        raise UnreadableImage("not a JPEG, PNG, WebP, BMP, GIF or TIFF image") from None
    except MemoryError:
        raise UnreadableImage("does not fit into memory") from None
    except (
        Exception
    ) as error:  # Decoders raise whatever a hostile file makes them raise: struct.error, EOFError, KeyError …
        raise UnreadableImage(_reason(error)) from None


def without_waiting(path: str | os.PathLike[str], flags: int = os.O_RDONLY) -> int:
    """An open file's descriptor. What has nothing to give, a pipe or some files of /proc, is not waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        # Asked before opening: opening a pipe waits for its writer, opening a device can do things.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadableImage("not a regular file")
        with open(path, "rb", opener=without_waiting) as file:
            if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
                raise UnreadableImage(TOO_LARGE)
            return file.read(MAX_FILE_BYTES) or b""
    except UnreadableImage:  # it is a ValueError too
        raise
    except FileNotFoundError:
        raise UnreadableImage("no such file") from None
    except PermissionError:
        raise UnreadableImage("permission denied") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise UnreadableImage(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _refuse_bomb(image: Image.Image) -> None:
    width, height = image.size
    if width * height > min(Image.MAX_IMAGE_PIXELS or MAX_PIXELS, MAX_PIXELS):
        raise UnreadableImage(_too_many_pixels(f"{width} × {height} pixels, more"))


def _too_many_pixels(found: str) -> str:
    return f"{found} than the limit of {MAX_PIXELS:,}"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return "truncated: the file ends before the picture does"
    return f"broken: {text[:120] or type(error).__name__}"


class _PillowIsQuiet:
    """While at least one thread decodes, warnings raised inside Pillow are ignored (ImageNet's EXIF is full of them).

    `warnings.catch_warnings` saves and restores the whole process's list and so is unsafe with threads: a filter that
    another thread has set meanwhile would be lost, or stay for ever. This one puts in one entry and takes out the same.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reader_count = 0
        self._entry: object = None

    def __enter__(self) -> None:
        with self._lock:
            self._reader_count += 1
            # A caller's own catch_warnings may have swapped the list since: put the entry in where it is missing.
            if self._entry is None or not any(entry is self._entry for entry in warnings.filters):
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._entry = warnings.filters[0]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._reader_count -= 1
            if self._reader_count == 0:
                filters = cast(list, warnings.filters)
                filters[:] = [entry for entry in filters if entry is not self._entry]
                self._entry = None


_PILLOW_IS_QUIET = _PillowIsQuiet()
_elsewhere: Callable[[bytes, int | None], Image.Image] | None = None
