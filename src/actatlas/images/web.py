"""Files on a web server: read from beginning to end, or in parts where the server gives parts."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from actatlas.errors import NoImages, first_line
from actatlas.images.addresses import Remote

_TIMEOUT_S = 30
_TRIES = 3
_AGAIN_FROM = 500  # statuses of a server that may be better in a moment
_PIECE_BYTES = 2**20
_FAILURES = (OSError, http.client.HTTPException)

Result = TypeVar("Result")


class WebArchive:
    """One file as it streams by, for `tar.members`; offsets only grow."""

    def __init__(self, url: str):
        self.where = url
        self._response = urllib.request.urlopen(url, timeout=_TIMEOUT_S)
        headers = self._response.headers
        length = headers.get("Content-Length", "")
        self.remote = Remote(
            url, int(length) if length.isdecimal() else -1, headers.get("ETag") or headers.get("Last-Modified") or "",
            headers.get("Accept-Ranges", "").lower() == "bytes",
        )  # fmt: skip
        self._position = 0

    def read_at(self, offset: int, count: int) -> bytes:
        self._skip(offset - self._position)
        content = self._response.read(count)
        self._position += len(content)
        if len(content) < count and self._position < self.remote.length:
            raise ConnectionError("the connection broke")
        return content

    def has(self, offset: int) -> bool:
        return self.remote.length < 0 or offset <= self.remote.length

    def copy_to(self, file: Any) -> int:
        """All of it; how many bytes there were."""
        while piece := self._response.read(_PIECE_BYTES):
            self._position += file.write(piece)
        return self._position

    def close(self) -> None:
        self._response.close()

    def _skip(self, count: int) -> None:
        while count > 0:
            piece = self._response.read(min(count, _PIECE_BYTES))
            if not piece:
                return
            self._position += len(piece)
            count -= len(piece)


def read_part(remote: Remote, offset: int, count: int) -> bytes:
    """Raises NoImages where the server refuses, or has another file by now."""

    def read() -> bytes:
        wanted = urllib.request.Request(remote.url, headers={"Range": f"bytes={offset}-{offset + count - 1}"})
        with urllib.request.urlopen(wanted, timeout=_TIMEOUT_S) as response:
            version = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            if response.status != 206 or version != remote.version:
                raise NoImages(f"{remote.url} has changed on its server since it was listed")
            return response.read(count)

    return patiently(remote.url, read)


def patiently(url: str, work: Callable[[], Result]) -> Result:
    """Tried again where the connection breaks or the server is in trouble. Raises NoImages."""
    for left in reversed(range(_TRIES)):
        try:
            return work()
        except urllib.error.HTTPError as error:
            if error.code < _AGAIN_FROM or not left:
                raise NoImages(
                    f"{url}: the server refuses it ({error.code} {error.reason}); check the address", url=url
                ) from None
        except _FAILURES as error:
            if not left:
                reason = getattr(error, "reason", error)
                raise NoImages(
                    f"{url} cannot be read ({first_line(Exception(str(reason) or type(error).__name__))}); check the "
                    "address and the connection",
                    url=url,
                ) from None
        time.sleep(0.5 * 2 ** (_TRIES - 1 - left))
    raise AssertionError("unreachable")
