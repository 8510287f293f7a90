"""The only place that writes to disk: a file is there whole, and stays, or it is not there at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from actatlas.errors import DiskFull, StorageError

# Called before every operation with its name ("folder", "write", "sync", "rename", "sync-folder", "append", "remove")
# and path. Tests put a function here that raises at the n-th call, as a full or failing disk would.
before_operation: Callable[[str, Path], None] | None = None


def write_file(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name, flush it to the disk, rename, and flush the folder.

    Raises DiskFull or StorageError naming the path; then the old file, or none, is what is there.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with _telling(path):
        _make_folder(path.parent)
        try:
            _operation("write", path)
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                _operation("sync", path)
                os.fsync(file.fileno())
            _operation("rename", path)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):  # what it failed of is the news; the rest is swept away at the next run
                _operation("remove", temporary)
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Add one line to a file and flush it. A line that a crash cut short is closed first, so it spoils no other."""
    with _telling(path):
        _operation("append", path)
        is_new = not path.exists()
        with open(path, "ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(line.encode() + b"\n")
            file.flush()
            _operation("sync", path)
            os.fsync(file.fileno())
        if is_new:
            _sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """And the folders that it lies in; each is there to stay."""
    with _telling(path):
        _make_folder(path)


def remove(path: Path) -> None:
    """A file that may be gone already; it does not come back."""
    with _telling(path, "removed"):
        _operation("remove", path)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            _sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """With all that is in it; one that is not there is none to remove."""
    with _telling(path, "removed"):
        if path.exists():
            _operation("remove", path)
            shutil.rmtree(path)


def rename_folder(path: Path, to: Path) -> None:
    """Within one folder, where `to` is not there yet."""
    with _telling(to):
        _operation("rename", to)
        path.rename(to)
        _sync_folder(to.parent)


def sweep(folder: Path) -> None:
    """Remove what writings that were cut short have left, in all of `folder`."""
    with _telling(folder):
        left = sorted(folder.rglob(".*.tmp"))
    for path in left:
        remove(path)


@contextlib.contextmanager
def _telling(path: Path, done: str = "written") -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise told(error, path, done) from error


def told(error: OSError, path: Path, done: str = "written") -> StorageError:
    """What the system says, as a sentence with the path."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"the disk is full: {path} could not be {done}; free some space and run the same command, which continues",
            path=str(path),
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(
        f"{path} could not be {done} ({reason}); mend that and run the same command, which continues", path=str(path)
    )


def _operation(name: str, path: Path) -> None:
    if before_operation is not None:
        before_operation(name, path)


def _make_folder(path: Path) -> None:
    """A new folder is as good as lost until the one that it lies in is flushed."""
    new = []
    while not path.is_dir():
        new.append(path)
        path = path.parent
    for folder in reversed(new):
        _operation("folder", folder)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    _operation("sync-folder", folder)
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
