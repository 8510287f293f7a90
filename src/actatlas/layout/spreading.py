"""Makes a layout fill its square, so that no island far out and no dense corner wastes the map."""

from __future__ import annotations

import numpy as np

# Few rounds: the map is filled, and its own fine grain, dense spots and gaps, still shows.
_ROUNDS = 10
_TURN = np.pi * (3 - np.sqrt(5)) / 2  # directions that never repeat
_PLASTIC = 1.32471795724474602596


def spread_out(points: np.ndarray) -> np.ndarray:
    """(N, 2) → (N, 2) in about [0, 1]², moved towards an even density; order along each direction is kept.

    Sliced optimal transport (Rabin et al. 2012) to an even lattice: on two crossing axes at a time, the k-th point
    along an axis goes where the lattice's k-th point is. Neighbours stay neighbours; where many activations are, the
    map has more room for them.
    """
    moved = points - np.median(points, axis=0)
    scale = 4 * np.percentile(np.abs(moved), 75, axis=0)
    scale = np.where(scale > 0, scale, np.abs(moved).max(axis=0))
    if not (scale > 0).all():
        return points
    moved = moved / scale
    goal = _lattice(len(points)) - 0.5
    for turn in range(_ROUNDS):
        cosine, sine = np.cos(turn * _TURN), np.sin(turn * _TURN)
        axes = np.array([[cosine, sine], [-sine, cosine]])
        turned, turned_goal = moved @ axes.T, goal @ axes.T
        for axis in (0, 1):
            order = np.argsort(turned[:, axis], kind="stable")
            turned[order, axis] = np.sort(turned_goal[:, axis])
        moved = turned @ axes
    return moved + 0.5


def _lattice(count: int) -> np.ndarray:
    """(count, 2) in [0, 1)²: the R2 sequence (Roberts 2018), even at any count."""
    numbers = np.arange(1, count + 1)
    return np.stack([numbers / _PLASTIC % 1, numbers / _PLASTIC**2 % 1], axis=1)
