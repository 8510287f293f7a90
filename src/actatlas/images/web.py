"""Files on a web server: read from beginning to end, or in parts where the server gives parts."""

from __future__ import annotations

import http.client
import string
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from actatlas.errors import ActatlasError, NoImages, OutOfReach, first_line
from actatlas.images.addresses import Remote, length_of

_TIMEOUT_S = 30
_TRIES = 3
# Statuses of a server that may be better in a moment, and of a file that is gone for good, or that part of it.
_AGAIN = (408, 425, 429, *range(500, 600))
_GONE = (404, 410, 416)
_PIECE_BYTES = 2**20
_FAILURES = (OSError, http.client.HTTPException)
_SAFE = string.punctuation  # what an address is made of, % too: it may be quoted already

Result = TypeVar("Result")


class WebArchive:
    """One file as it streams by, for `tar.members`; offsets only grow."""

    def __init__(self, url: str):
        self.where = url
        self._response = _opened(url)
        headers = self._response.headers
        length = length_of(headers.get("Content-Length", ""))
        self.remote = Remote(
            url, -1 if length is None else length, headers.get("ETag") or headers.get("Last-Modified") or "",
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
    """Raises OutOfReach, or NoImages where the file is gone or another by now."""

    def read() -> bytes:
        with _opened(remote.url, f"bytes={offset}-{offset + count - 1}") as response:
            # A part need not say again what the whole said.
            version = response.headers.get("ETag") or response.headers.get("Last-Modified") or remote.version
            if response.status != 206 or version != remote.version:
                raise NoImages(f"{remote.url} has changed on its server since it was listed")
            content = response.read(count)
        if len(content) < count and offset + len(content) < remote.length:
            raise ConnectionError("the connection broke")
        return content

    return patiently(remote.url, read)


def patiently(url: str, work: Callable[[], Result]) -> Result:
    """Tried again where the connection breaks or the server is in trouble.

    Raises OutOfReach, or NoImages where the server says that there is no such file, or the address can be none.
    """
    for left in reversed(range(_TRIES)):
        try:
            return work()
        except ActatlasError:
            raise
        except urllib.error.HTTPError as error:
            error.close()  # else its connection stays open as long as what is raised of it
            told = f"{url}: the server refuses it ({error.code} {error.reason})"
            if error.code in _GONE:
                raise NoImages(f"{told}; check the address", url=url) from None
            if error.code not in _AGAIN or not left:
                raise OutOfReach(
                    f"{told}; check the address and your access, and run the command again", url=url
                ) from None
        except _FAILURES as error:
            if not left:
                reason = getattr(error, "reason", error)
                raise OutOfReach(
                    f"{url} cannot be read ({first_line(Exception(str(reason) or type(error).__name__))}); check the "
                    "address and the connection, and run the command again",
                    url=url,
                ) from None
        except ValueError as error:
            raise NoImages(f"{url} is no address ({first_line(error)}); check it", url=url) from None
        time.sleep(0.5 * 2 ** (_TRIES - 1 - left))
    raise AssertionError("unreachable")


def _opened(url: str, part: str | None = None) -> Any:
    """By http or https, wherever redirections lead. part: what a Range header says"""
    address = urllib.parse.quote(url, safe=_SAFE)  # letters beyond ASCII as servers know them
    headers = {} if part is None else {"Range": part}
    return _OPENER.open(urllib.request.Request(address, headers=headers), timeout=_TIMEOUT_S)


def _opener() -> urllib.request.OpenerDirector:
    """urllib's usual one, without ftp:, file: and data:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.UnknownHandler, urllib.request.HTTPHandler,
        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor, urllib.request.HTTPSHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


_OPENER = _opener()
