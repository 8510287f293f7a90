"""One writer an atlas. The operating system frees the lock when its holder dies."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from actatlas.errors import Locked, StorageError


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; made where it is not there.

    Raises Locked, naming the holder, at once if another has it, and StorageError where it cannot be written.
    """
    lock, holder = FileLock(folder / ".lock", timeout=0), folder / ".lock-holder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        name = holder.read_text() if holder.exists() else "another process"
        raise Locked(
            f"{folder} is being written by {name}; wait until it is done, or stop it", folder=str(folder), holder=name
        ) from None
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror}); choose a folder that can, or copy the atlas to one",
            folder=str(folder),
        ) from error
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
