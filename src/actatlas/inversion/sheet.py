"""What pictures of one layer are asked for: values alone, so that any process may paint them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Sheet:
    """One picture a row.

    centred: (n, C) targets less the layer's mean; keys: (n,) seeds; steps: of the optimiser
    start: (n, S', S', channels) uint8 pictures to begin with, or None for the prior's noise
    rivals: (n, R, C) directions that the answer is to be told from, the picture's own first, or None
    correction: (F,) is taken from the look that is expected
    contrast: in place of the settings'
    pulls: (n, C), what a unit of the answer beyond the layer's mean is worth, beside all that; None: nothing
    """

    centred: np.ndarray
    keys: np.ndarray
    steps: int
    start: np.ndarray | None
    rivals: np.ndarray | None
    correction: np.ndarray
    contrast: float | None = None
    pulls: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def of(self, rows: np.ndarray) -> Sheet:
        """Of these rows, in this order."""
        parts = {name: getattr(self, name) for name in ("centred", "keys", "start", "rivals", "pulls")}
        return replace(self, **{name: part[rows] for name, part in parts.items() if part is not None})
