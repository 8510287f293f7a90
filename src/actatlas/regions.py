"""Parts of a map that are one thing."""

from __future__ import annotations

import numpy as np


def regions(coordinates: np.ndarray, classes: np.ndarray) -> list[np.ndarray]:
    """Cells that touch along an edge and have the same class, as arrays of indices, the largest region first."""
    at = {(int(c), int(r)): k for k, (c, r) in enumerate(coordinates)}
    seen: set[int] = set()
    found = []
    for start in range(len(coordinates)):
        if start in seen:
            continue
        seen.add(start)
        region, open_ = [start], [start]
        while open_:
            column, row = (int(v) for v in coordinates[open_.pop()])
            for neighbour in ((column + 1, row), (column - 1, row), (column, row + 1), (column, row - 1)):
                k = at.get(neighbour)
                if k is not None and k not in seen and classes[k] == classes[start]:
                    seen.add(k)
                    region.append(k)
                    open_.append(k)
        found.append(np.array(sorted(region)))
    return sorted(found, key=len, reverse=True)


def middle_of(coordinates: np.ndarray, region: np.ndarray) -> int:
    """The cell of a region that is nearest to its centre."""
    places = coordinates[region].astype(float)
    return int(region[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))])
