"""Numbers in six bits: enough to draw them, to rank them and to say them in two digits, at an eighth of the size."""

from __future__ import annotations

import numpy as np

MOST = 31  # levels run from −31 to 31, so that a level is one of 63


def to_levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K, N) → levels (K, N) int8 and peaks (N,) float32, the largest size in each column.

    A level is the square root of value ÷ peak, with its sign: steps are fine where values are small, and a
    value of a tenth of the peak or more is met within a tenth. What is not finite becomes 0.
    """
    finite = np.nan_to_num(np.asarray(values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    peaks = np.abs(finite).max(axis=0, initial=0.0)
    share = finite / np.where(peaks > 0, peaks, 1)
    return np.rint(MOST * np.sign(share) * np.sqrt(np.abs(share))).astype(np.int8), peaks


def from_levels(levels: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """(K, N) float32: what `to_levels` was given, nearly."""
    share = levels.astype(np.float32) / MOST
    return np.sign(share) * share**2 * peaks
