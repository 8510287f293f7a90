"""Memory that the C library holds after it was freed."""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache


def give_back() -> None:
    """What was freed, to the system: the GNU C library keeps it where something small that is in use lies behind it, of
    160,000 activations half a gigabyte after the search for neighbours. Elsewhere nothing happens.
    """
    library = c_library()
    if library is not None:
        library.malloc_trim(0)


@cache
def c_library() -> ctypes.CDLL | None:
    """The GNU C library; None where it is another, or the environment says how memory is to be kept."""
    names_own = any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" and not names_own else None
