"""Numbers in six bits: enough to draw them, to rank them and to say them in two digits, at an eighth of the size."""

from __future__ import annotations

import zlib

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


def deflated(levels: np.ndarray) -> np.ndarray:
    """(K, N) levels → uint8, smaller by a third: neighbours on a map have like levels."""
    return np.frombuffer(zlib.compress(np.ascontiguousarray(levels.T).tobytes(), 9), np.uint8)


def inflated(data: np.ndarray, columns: int) -> np.ndarray:
    """(K, columns) int8 of what `deflated` gave."""
    return np.frombuffer(zlib.decompress(data.tobytes()), np.int8).reshape(columns, -1).T
