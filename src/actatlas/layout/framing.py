"""Points as a map: scaled to the unit square, on a lattice fine enough for every grid."""

from __future__ import annotations

import numpy as np

from actatlas.values import Layout

# x·side is then exact in float32 for every side of a grid, so nobody's cells differ by rounding.
_LATTICE = 32768
_MARGIN_OF_GIVEN = 0.02  # of the map's side: no point of a user's own layout is cut off


def framed(points: np.ndarray, cut_percentile: float, margin: float) -> Layout:
    """Points as a map: the box between the percentiles, with its margin, becomes [0, 1]²; what lies beyond becomes NaN.

    points: (N, 2), finite. As the original's notebooks (Distill 2019), which move what lies beyond onto the edge.
    """
    low, high = np.percentile(points, [cut_percentile, 100 - cut_percentile], axis=0)  # (2,) each
    span = high - low
    flat = span <= 0
    scale = np.where(flat, 1.0, span * (1 + 2 * margin))
    x = np.where(flat, 0.5, (points - low + margin * span) / scale)  # (N, 2)
    x = (np.round(x * _LATTICE) / _LATTICE).astype(np.float32)
    x[((x < 0) | (x > 1)).any(axis=1)] = np.nan
    return Layout(x)


def as_given(points: np.ndarray) -> Layout:
    """A layout that was made elsewhere. Points in [0, 1]² stay where they are; others are scaled to fill the map.

    points: (N, 2), NaN where an activation is to be left out; x to the right, y downwards
    """
    is_placed = ~np.isnan(points).any(axis=1)
    placed = points[is_placed].astype(np.float64)
    found = np.full(points.shape, np.nan, np.float32)
    if ((placed >= 0) & (placed <= 1)).all():
        found[is_placed] = np.round(placed * _LATTICE) / _LATTICE
    else:
        found[is_placed] = framed(placed, cut_percentile=0.0, margin=_MARGIN_OF_GIVEN).points
    return Layout(found)
