"""Files in object stores, s3:// and gs:// and what else fsspec knows, by the store's own package, with credentials."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from actatlas.errors import ActatlasError, MissingExtra, NoImages, OutOfReach, first_line
from actatlas.images.addresses import Remote

_BLOCK_BYTES = 4 * 2**20  # read at once while a file is gone through
# What stores tell of a file that another content changes, the surest first.
_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "LastModified", "last_modified", "updated",
             "mtime", "created")  # fmt: skip
_DRIVERS = {  # package and extra, by what stands before ://
    "s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs"),
    "az": ("adlfs", "azure"), "abfs": ("adlfs", "azure"), "abfss": ("adlfs", "azure"),
}  # fmt: skip


class BucketArchive:
    """One file as it is gone through, for `tar.members`; what is skipped in large steps is not fetched."""

    def __init__(self, url: str):
        self.where = url
        with _said(url):
            store, path = _store_of(url)
            self.remote = _remote(url, store.info(path))
            self._file = store.open(path, "rb", block_size=_BLOCK_BYTES)

    def read_at(self, offset: int, count: int) -> bytes:
        with _said(self.where):
            self._file.seek(offset)
            return bytes(self._file.read(count))

    def has(self, offset: int) -> bool:
        return offset <= self.remote.length

    def close(self) -> None:
        self._file.close()


def described(url: str) -> Remote:
    """Raises NoImages where there is no such file, or no way to it."""
    with _said(url):
        store, path = _store_of(url)
        return _remote(url, store.info(path))


def read_part(remote: Remote, offset: int, count: int) -> bytes:
    """Raises OutOfReach where the store refuses, NoImages where the file is gone or another by now."""
    with _said(remote.url):
        store, path = _store_of(remote.url)
        content = bytes(store.cat_file(path, start=offset, end=offset + count))
        if _remote(remote.url, store.info(path)) != remote:  # afterwards: what was read was of this file
            raise NoImages(f"{remote.url} has changed since it was listed")
    return content


def files_in(url: str) -> Iterator[Remote]:
    """Files of a folder and of its sub-folders, one level deep, hidden ones left out; itself, if it is a file.

    The lists come one by one. Raises NoImages where any of them cannot be had.
    """
    with _said(url):
        store, path = _store_of(url)
        folders = [path]
        for folder in folders:  # its sub-folders come behind it
            for info in store.ls(folder, detail=True):
                if _is_hidden(info["name"]):
                    continue
                if info["type"] == "file":
                    yield _remote(str(store.unstrip_protocol(info["name"])), info)
                elif folder == path and info["name"].strip("/") != path.strip("/"):  # some stores list it in itself
                    folders.append(info["name"])


def _is_hidden(path: str) -> bool:
    return _is_called(path, ".*")


def _is_called(path: str, pattern: str) -> bool:
    """As a shell has it: * is no name that begins with a dot."""
    name = path.rstrip("/").rpartition("/")[2]
    return fnmatchcase(name, pattern) and name.startswith(".") == pattern.startswith(".")


def spelled(url: str) -> str:
    """The address as those of its files begin, without a slash behind it."""
    with _said(url):
        store, path = _store_of(url)
        return str(store.unstrip_protocol(path)).rstrip("/")


def named_like(pattern: str) -> list[str]:
    """Addresses of the files that a pattern with * or [ ] names. Raises NoImages where a folder cannot be listed."""
    with _said(pattern):
        store, path = _store_of(pattern)
        parts = path.split("/")
        first = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        named = ["/".join(parts[:first])]
        for number in range(first, len(parts)):  # not by the store's own glob: it leaves out folders that give an error
            kind = "file" if number == len(parts) - 1 else "directory"
            found = (info for folder in named for info in store.ls(folder, detail=True) if info["type"] == kind)
            named = [info["name"].rstrip("/") for info in found if _is_called(info["name"], parts[number])]
        return [str(store.unstrip_protocol(name)) for name in named]


def _store_of(url: str) -> tuple[Any, str]:
    """fsspec keeps one for each thread, so this is asked anew each time."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtra("fsspec", "build", f"reading {url}") from None
    scheme = url.partition("://")[0].lower()
    try:
        store, path = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        if scheme not in _DRIVERS:
            raise NoImages(f"{url}: {first_line(error)}, which reads {scheme}://", url=url) from None
        raise MissingExtra(*_DRIVERS[scheme], f"reading {url}") from None
    except ValueError as error:
        raise NoImages(f"{url} is no address that can be read ({first_line(error)})", url=url) from None
    if not path:
        raise NoImages(f"{url} names no bucket; write {url.rstrip('/:')}://BUCKET/FOLDER", url=url)
    return store, path


def _remote(url: str, info: dict[str, Any]) -> Remote:
    version = next((str(info[name]) for name in _VERSIONS if info.get(name)), "")
    return Remote(url, int(info["size"] or 0), version, gives_parts=True)


@contextmanager
def _said(url: str) -> Iterator[None]:
    """What goes wrong in the store's package, which has tried again by itself, as one sentence."""
    try:
        yield
    except ActatlasError:
        raise
    except FileNotFoundError:
        raise NoImages(f"{url} does not exist; check bucket and name", url=url) from None
    except Exception as error:  # of many packages, by many ways
        raise OutOfReach(
            f"{url} cannot be read ({type(error).__name__}: {first_line(error)}); check the address, your credentials "
            "and the connection, and run the command again",
            url=url,
        ) from None
