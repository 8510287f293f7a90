"""Decoding in processes of their own, so that a file that kills its decoder is one skipped photo.

    with isolated_decoding():
        …  # whatever reads photos, from any thread

A photo on which a worker dies or does not come to an end is tried once more, alone in a new one, and then given up.
"""

from __future__ import annotations

import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from PIL import Image

if sys.platform == "linux":
    import fcntl

from actatlas.errors import UnreadableImage, UsageError
from actatlas.images.decoding import decode_by
from actatlas.images.worker import ANSWER, READY, REQUEST

WORKER = (sys.executable, "-m", "actatlas.images.worker")
_PIPE_BYTES = 2**20  # so that a photo goes over in a few pieces
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, on Linux


@dataclass(frozen=True)
class IsolationSettings:
    """What a worker may take for one photo.

    memory_bytes: beyond the worker's own 60 MB; the largest photo that is allowed takes 270 MB as RGB
    cpu_s: of computing; wall_s: from asking to the answer, on a machine however busy
    worker: its command
    """

    memory_bytes: int = 400 * 2**20
    cpu_s: int = 10
    wall_s: float = 120.0
    worker: Sequence[str] = WORKER


@contextmanager
def isolated_decoding(wanted: bool = True, settings: IsolationSettings | None = None) -> Iterator[None]:
    """While it holds, `decode` of this process is done by workers, started when they are needed. wanted: or not"""
    if not wanted:
        yield
        return
    workers = _Workers(settings or IsolationSettings())
    try:
        with decode_by(workers.decode):
            yield
    finally:
        workers.close()


class _Died(Exception):
    """What is said of the photo that it died on."""


class _Workers:
    def __init__(self, settings: IsolationSettings):
        self._settings = settings
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._lock = threading.Lock()
        self._all: set[_Worker] = set()
        self._is_closed = threading.Event()
        self._watch: threading.Thread | None = None

    def decode(self, content: bytes, wanted_px: int | None) -> Image.Image:
        """Raises UnreadableImage."""
        try:
            return self._by(self._taken(), content, wanted_px)
        except _Died:
            try:
                return self._by(self._new(), content, wanted_px)
            except _Died as error:
                raise UnreadableImage(str(error)) from None

    def close(self) -> None:
        self._is_closed.set()
        if self._watch is not None:
            self._watch.join()
        for worker in self._all:
            worker.stop()

    def _by(self, worker: _Worker, content: bytes, wanted_px: int | None) -> Image.Image:
        try:
            photo = worker.decode(content, wanted_px)
        except UnreadableImage:
            self._idle.put(worker)
            raise
        except BaseException:
            with self._lock:
                self._all.discard(worker)
            worker.stop()
            raise
        self._idle.put(worker)
        return photo

    def _taken(self) -> _Worker:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._new()

    def _new(self) -> _Worker:
        worker = _Worker(self._settings)
        with self._lock:
            self._all.add(worker)
            if self._watch is None:
                self._watch = threading.Thread(target=self._stop_the_late, name="actatlas-decoders", daemon=True)
                self._watch.start()
        return worker

    def _stop_the_late(self) -> None:
        while not self._is_closed.wait(min(1.0, self._settings.wall_s / 4)):
            with self._lock:
                workers = list(self._all)
            for worker in workers:
                worker.stop_if_late()


class _Worker:
    def __init__(self, settings: IsolationSettings):
        self._settings = settings
        self._due, self._is_late = math.inf, False
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",  # threads that nobody needs map memory
        }  # fmt: skip
        self._process = subprocess.Popen(
            [*settings.worker, str(settings.memory_bytes), str(settings.cpu_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,  # Ctrl-C is the parent's to answer
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        _widen(self._to.fileno(), self._from.fileno())
        if self._from.read(len(READY)) != READY:  # before any photo: not a photo's fault
            code = self._process.wait()
            self.stop()
            raise UsageError(
                f"photos cannot be decoded in processes of their own here (one ends with exit {code} as it starts); "
                "leave out --isolate-decoding"
            )

    def decode(self, content: bytes, wanted_px: int | None) -> Image.Image:
        """Raises UnreadableImage; _Died if the worker did, or was stopped because it took too long."""
        self._due = time.monotonic() + self._settings.wall_s
        try:
            self._to.write(REQUEST.pack(len(content), -1 if wanted_px is None else wanted_px))
            self._to.write(content)
            self._to.flush()
            width, height = ANSWER.unpack(self._read(ANSWER.size))
            if width == 0:
                raise UnreadableImage(self._read(height).decode())
            pixels = self._read(width * height * 3)
        except OSError:  # a pipe whose other end is gone
            raise _Died(self._why()) from None
        finally:
            self._due = math.inf
        return Image.frombuffer("RGB", (width, height), pixels, "raw", "RGB", 0, 1)

    def stop_if_late(self) -> None:
        if time.monotonic() > self._due:
            self._is_late = True
            self._process.kill()

    def stop(self) -> None:
        self._process.kill()
        for pipe in (self._to, self._from):
            with suppress(OSError):  # what was written to a dead worker cannot be flushed
                pipe.close()
        self._process.wait()

    def _read(self, count: int) -> bytes:
        found = self._from.read(count)
        if len(found) < count:
            raise BrokenPipeError
        return found

    def _why(self) -> str:
        code = self._process.wait()
        if self._is_late or code == -getattr(signal, "SIGXCPU", 0):
            took = self._settings.wall_s if self._is_late else self._settings.cpu_s
            return f"decoding it does not come to an end (stopped after {took:g} s)"
        with suppress(ValueError):
            return f"its decoder died ({signal.Signals(-code).name})"
        return f"its decoder died (exit {code})"


def _widen(*pipes: int) -> None:
    if sys.platform == "linux":
        for pipe in pipes:
            with suppress(OSError):  # the user's pipes have all that they may have
                fcntl.fcntl(pipe, _SET_PIPE_SIZE, _PIPE_BYTES)
