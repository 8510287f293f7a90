"""Settings of the whole process that hold while somebody needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class ProcessSwitch:
    """A context for any number of threads, also inside one another: set by the first, set back by the last.

    switch_on: sets what is to be set, and gives what sets it back
    """

    def __init__(self, switch_on: Callable[[], Callable[[], object]]):
        self._switch_on = switch_on
        self._lock = threading.Lock()
        self._count = 0
        self._switch_back: Callable[[], object] = lambda: None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._count == 0:
                self._switch_back = self._switch_on()
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if self._count == 0:
                    self._switch_back()
