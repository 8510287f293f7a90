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
    """Hold `folder` for this process. Raises Locked, naming the holder, at once if another has it."""
    lock, holder = FileLock(folder / ".lock", timeout=0), folder / ".lock-holder"
    try:
        lock.acquire()
    except Timeout:
        name = holder.read_text() if holder.exists() else "another process"
        raise Locked(
            f"{folder} is being written by {name}; wait until it is done, or stop it", folder=str(folder), holder=name
        ) from None
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror}); choose another --out", folder=str(folder)
        ) from error
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
