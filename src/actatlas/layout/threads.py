"""numba's threads: torch keeps its own number of them.

Both share OpenMP, and when numba's threads begin they set its number to that of all processors, whatever it was before
(OMP_NUM_THREADS, or half of them where each core counts twice). What torch computed afterwards would then differ in its
last bits from what it computes in a build that was stopped and went on without a layout.
"""

from __future__ import annotations

import numba
from threadpoolctl import ThreadpoolController


def begin_threads() -> None:
    """Before the first function that runs on numba's threads."""
    numba.config.reload_config()  # as numba does before it compiles: the environment may have changed since its import
    with ThreadpoolController().select(user_api="openmp").limit(limits=None):  # puts back what it was, at its end
        numba.get_num_threads()  # they begin where they are first asked for
