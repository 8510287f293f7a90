"""A Ray cluster: one of our own on this machine, on the loopback alone, or one that is there already."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actatlas.errors import UsageError, WorkerLost, first_line

_STORE_BYTES = 200 * 2**20  # Ray's own default, a third of the memory, is more than /dev/shm holds in a container
_TRIES = 3  # a busy machine may not have it up in Ray's 30 seconds
_OF_OUR_OWN = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it tells nobody that it is used
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux too: every socket is bound to 127.0.0.1
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


# Ray tells of each death, on the standard output too, where results of commands stand.
_QUIET = {"RAY_DEDUP_LOGS_SKIP_REGEX": "^"}


class Cluster:
    """Connected from `__init__` to `close`.

    address: None starts one here, "auto" takes this machine's, "HOST:PORT" another
    cpus: that the one started here has
    Raises UsageError where there is none, WorkerLost where none can be started.
    """

    def __init__(self, address: str | None, cpus: int):
        self._folder: str | None = None
        self._is_ours = False
        with _environment(_QUIET | ({} if address else _OF_OUR_OWN)), _own_signals():
            self.ray: Any = importlib.import_module("ray")
            if self.ray.is_initialized():  # by whoever calls us: theirs to end
                return
            if address:
                self._connect(address)
            else:
                self._start(cpus)
        self._is_ours = True

    def nodes(self) -> list[dict[str, float]]:
        """The resources of each machine that is up: CPU, GPU, …"""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def close(self) -> None:
        """Ends one that was started here, and leaves one that was there."""
        if self._is_ours:
            self._is_ours = False
            self.ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self, address: str) -> None:
        try:
            self.ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        except Exception as error:  # Ray's own for what is not there are many
            raise UsageError(
                f"there is no Ray cluster at {address} ({first_line(error)}); start one with: ray start --head, or "
                "leave out --address for one on this machine",
                address=address,
            ) from None

    def _start(self, cpus: int) -> None:
        # Sockets lie below it, and their paths may have 107 characters.
        self._folder = tempfile.mkdtemp(prefix="actatlas-ray-", dir="/tmp" if os.path.isdir("/tmp") else None)
        for left in reversed(range(_TRIES)):
            try:
                with _only_loopback(self.ray):
                    self.ray.init(
                        address="local", num_cpus=cpus, include_dashboard=False, object_store_memory=_STORE_BYTES,
                        log_to_driver=False, logging_level=logging.CRITICAL, _temp_dir=self._folder,
                    )  # fmt: skip
                return
            except Exception as error:  # as above; half a cluster is ended before the next
                self.ray.shutdown()
                if not left:
                    self.close()
                    raise WorkerLost(
                        f"Ray does not start on this machine ({first_line(error)}); leave out --executor ray, or name "
                        "a cluster that is up with --address"
                    ) from None
            except BaseException:
                self.ray.shutdown()
                self.close()
                raise


@contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    """What the processes started meanwhile get to see, where the user has not said otherwise."""
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself, and ends the process where ours would end the build."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: one that was not set from Python
                signal.signal(number, handler)


@contextmanager
def _only_loopback(ray: Any) -> Iterator[None]:
    """As its environment variable says, which Ray reads when it is imported: somebody may have done that before."""
    constants = sys.modules.get("ray._private.ray_constants")
    before = getattr(constants, "ENABLE_RAY_CLUSTER", None)
    if constants is not None and before is not None:
        constants.ENABLE_RAY_CLUSTER = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if constants is not None and before is not None:
            constants.ENABLE_RAY_CLUSTER = before  # type: ignore[attr-defined]
