"""Memory that stays with the process from layer to layer, while a network runs on a processor."""

from __future__ import annotations

from collections.abc import Callable

from actatlas.heap import c_library, give_back
from actatlas.networks.switch import ProcessSwitch

# <malloc.h>, https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 2**31 - 1, 2**30  # bytes: of free memory at the end of the heap; of a piece that is mapped on its own
_USUAL = 2**26, 2**25  # where the C library's own adjusting ends


def _keep() -> Callable[[], None]:
    """By default the GNU C library gives back large maps as they are freed and takes them anew, page by page, for the
    next layer: of the time of a pass that was up to a half. Inside, they are kept; at the end all is given back.

    Elsewhere, and where the environment says how memory is to be kept, nothing is changed.
    """
    library = c_library()
    if library is None:
        return lambda: None

    def set_to(thresholds: tuple[int, int]) -> None:
        for option, value in zip((_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD), thresholds, strict=True):
            library.mallopt(option, value)  # what an older library does not take stays as it was

    def no_more() -> None:
        set_to(_USUAL)
        give_back()

    set_to(_KEPT)
    return no_more


kept_memory = ProcessSwitch(_keep)
