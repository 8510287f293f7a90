"""Memory that the C library holds: how it is kept while it is wanted again at once, and given back after."""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache


def give_back() -> None:
    """What was freed, to the system. The GNU C library keeps it where something small that is in use lies behind it: of
    a million activations gigabytes, by the next stage of a build. Elsewhere nothing happens.
    """
    library = c_library()
    if library is not None:
        library.malloc_trim(0)


@cache
def c_library() -> ctypes.CDLL | None:
    """The GNU C library; None where it is another, or the environment says how memory is to be kept."""
    names_own = any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" and not names_own else None
