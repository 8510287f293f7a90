"""One way to files that lie elsewhere, whether a web server or an object store has them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager

from actatlas.errors import NoImages, OutOfReach, UnreadableImage
from actatlas.images import buckets, web
from actatlas.images.addresses import Remote, is_web


def opened(url: str) -> web.WebArchive | buckets.BucketArchive:
    """To be gone through once, from its beginning. Raises NoImages."""
    return web.WebArchive(url) if is_web(url) else buckets.BucketArchive(url)


def described(url: str) -> Remote:
    """Raises NoImages."""
    if not is_web(url):
        return buckets.described(url)

    def ask() -> Remote:
        with closing(web.WebArchive(url)) as archive:
            return archive.remote

    return web.patiently(url, ask)


def read_part(remote: Remote, offset: int, count: int) -> bytes:
    """`count` bytes, or fewer at the end. Raises NoImages where it is refused, or another file by now."""
    return (web if is_web(remote.url) else buckets).read_part(remote, offset, count)


@contextmanager
def as_a_photo() -> Iterator[None]:
    """What goes wrong with a photo's bytes as UnreadableImage; a broken way, OutOfReach, is not its fault."""
    try:
        yield
    except OutOfReach:
        raise
    except (NoImages, OSError) as error:
        raise UnreadableImage(f"cannot be read: {error}") from None


class RemoteFile(io.RawIOBase):
    """A file of bytes that fetches what is asked for: for libraries that read from the middle. Raises NoImages.

    Its server has to say how long it is, and to give parts.
    """

    def __init__(self, remote: Remote):
        if not remote.gives_parts or remote.length < 0:
            raise NoImages(
                f"{remote.url} is on a server that gives no parts of a file; fetch it, and name the copy",
                url=remote.url,
            )
        self._remote = remote
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._remote.length}[whence]
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(self._remote.length - self._position, 0)
        count = left if size < 0 else min(size, left)
        content = read_part(self._remote, self._position, count) if count else b""
        self._position += len(content)
        return content
