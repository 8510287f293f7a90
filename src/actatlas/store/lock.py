"""One writer an atlas. The operating system frees the lock when its holder dies."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from actatlas.errors import Locked, StorageError
from actatlas.store import durable

_PATIENCE_S = 1.0  # for a holder that has the lock and is about to say who it is


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process.

    Raises Locked, naming the holder, within a second or so if another has it; StorageError where it cannot be written.
    """
    lock, holder = FileLock(folder / ".lock", timeout=0), folder / ".lock-holder"
    _acquire(lock, holder)
    try:
        durable.remove(holder)  # of one that died
        this = {"process": os.getpid(), "host": socket.gethostname(), "started": _started(os.getpid())}
        durable.write_file(holder, json.dumps(this).encode())
        yield
    finally:
        try:
            with contextlib.suppress(StorageError):  # the name of one that is gone is not believed
                durable.remove(holder)
        finally:
            lock.release()


def _acquire(lock: FileLock, holder: Path) -> None:
    deadline, before, folder = time.monotonic() + _PATIENCE_S, None, holder.parent
    while True:
        try:
            lock.acquire()
            return
        except Timeout:
            told = _told_by(holder)
        except OSError as error:
            raise StorageError(
                f"{folder} cannot be written ({error.strerror}); choose a folder that can, or copy the atlas to one",
                folder=str(folder),
            ) from error
        # Of another machine nobody here knows whether it lives; but a dead one's name is soon replaced.
        is_known = told is not None and (told == before or told["host"] == socket.gethostname())
        if is_known or time.monotonic() > deadline:
            name = f"process {told['process']} on {told['host']}" if is_known and told else "another process"
            raise Locked(
                f"{folder} is being written by {name}; wait until it is done, or stop it",
                folder=str(folder), holder=name,
            )  # fmt: skip
        before = told
        time.sleep(0.05)


def _told_by(holder: Path) -> dict[str, Any] | None:
    """Who says to hold the lock; None while nobody does, or one of this machine that is gone."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(holder.read_bytes())
        if told["host"] != socket.gethostname() or _started(int(told["process"])) == told["started"]:
            return told
    return None


def _started(process: int) -> str | None:
    """When a process of this machine began, in ticks since it was switched on: numbers of processes come again.

    None where it is gone; "" where the system does not tell, and any process of that number is believed.
    """
    if not Path("/proc/self/stat").exists():
        return ""
    try:
        stat = Path(f"/proc/{int(process)}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]
