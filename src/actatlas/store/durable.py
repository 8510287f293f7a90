"""The only place that writes to disk: a file is there whole, and stays, or it is not there at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from actatlas.errors import DiskFull, StorageError

# Called before every operation with its name ("write", "sync", "rename", "sync-folder", "append") and path.
# Tests put a function here that raises at the n-th call, as a full or failing disk would.
before_operation: Callable[[str, Path], None] | None = None


def write_file(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name, flush it to the disk, rename, and flush the folder.

    Raises DiskFull or StorageError naming the path; then the old file, or none, is what is there.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _operation("write", path)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            _operation("sync", path)
            os.fsync(file.fileno())
        _operation("rename", path)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # where nothing can be written, nothing can be removed, and nothing is there
            temporary.unlink(missing_ok=True)
        raise _told(error, path) from error


def append_line(path: Path, line: str) -> None:
    """Add one line to a file and flush it. A line that a crash cut short is closed first, so it spoils no other."""
    try:
        _operation("append", path)
        is_new = not path.exists()
        with open(path, "ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync_folder(path.parent)
    except OSError as error:
        raise _told(error, path) from error


def _operation(name: str, path: Path) -> None:
    if before_operation is not None:
        before_operation(name, path)


def _sync_folder(folder: Path) -> None:
    _operation("sync-folder", folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _told(error: OSError, path: Path) -> StorageError:
    if isinstance(error, StorageError):
        return error
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"the disk is full: {path} could not be written; free some space and run the same command, which continues",
            path=str(path),
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(
        f"{path} could not be written ({reason}); mend that and run the same command, which continues", path=str(path)
    )
