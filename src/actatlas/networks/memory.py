"""Memory that stays with the process from layer to layer, while a network runs on a processor."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# <malloc.h>, https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 2**31 - 1, 2**30  # bytes: of free memory at the end of the heap; of a piece that is mapped on its own
_USUAL = 2**26, 2**25  # where the C library's own adjusting ends


class _KeptMemory:
    """By default the GNU C library gives back large maps as they are freed and takes them anew, page by page, for the
    next layer: of the time of a pass that was up to a half. Inside, they are kept; at the end all is given back.

    The switch is the whole process's: it is set back when the last thread that needs it so is done. Elsewhere, and
    where the environment says how memory is to be kept, nothing is changed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._count == 0:
                _set(_KEPT)
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if self._count == 0:
                    _set(_USUAL)
                    _give_back()


kept_memory = _KeptMemory()


def _set(thresholds: tuple[int, int]) -> None:
    library = _c_library()
    if library is not None:
        for option, value in zip((_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD), thresholds, strict=True):
            library.mallopt(option, value)  # what an older library does not take stays as it was


def _give_back() -> None:
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


@cache
def _c_library() -> ctypes.CDLL | None:
    names_own = any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" and not names_own else None
