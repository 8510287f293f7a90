"""Which cells vanish, appear, or change class: what is said of a cell, and when.

vanishes  a cell of the first network's own map whose activations' groups hold together there, and less than half as
          well in the second: what the first network sees in common, the second does not
appears   the same of a cell of the second network's own map, in the first
class     a cell of the map of both whose groups are kept either way, and that speaks for another class most in each,
          by a standard error over photos or more

Two networks that merely order things otherwise lose groups and gain others everywhere. So what a cell loses has to be
more than what its activations' groups of the other network lose in turn; this, and how far the preferences for classes
are apart on the same photos, is tested over the cell's photos. Of those cells that lost more than half, or that speak
for another class, as many are told as leave one in twenty to chance by the rule of Benjamini and Hochberg 1995. As such
cells were looked for, this is no promise; how often chance is told of was measured (benchmarks/RESULTS.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from actatlas.comparison.groups import Holding
from actatlas.comparison.photos import CellPhotos, discoveries

Change = Literal["vanishes", "appears", "class"]
CHANGES: tuple[Change, ...] = ("vanishes", "appears", "class")
LEAST_PHOTOS = 5  # of a cell of which something is told
LEAST_HELD = 0.25
MOST_KEPT = 0.5  # of what held together
FALSE_SHARE = 0.05
LEAST_MARGIN = 1.0  # standard errors by which each network prefers its class
MOST_OF = 0.5  # a cell of the shared map is marked where so many of its activations are of cells that vanish, or appear


@dataclass(frozen=True)
class OwnCells:
    """Cells of one network's own map, (K,) each.

    square: row · side + column; of: (N,) the cell of each pair, −1 for none; counts, photos: of the pairs in each
    held: how far the groups hold together in this network; kept: of that, the share that holds in the other
    p: the chance of such a loss without one, 1 where less than half is lost; is_gone: whether the cell is told of
    """

    square: np.ndarray
    of: np.ndarray
    counts: np.ndarray
    photos: np.ndarray
    held: np.ndarray
    kept: np.ndarray
    p: np.ndarray
    is_gone: np.ndarray


def own_cells(square: np.ndarray, image_ids: np.ndarray, here: Holding, there: Holding) -> OwnCells:
    """square: (N,) of each pair on this network's own map, −1 off it; here: its groups; there: the other's."""
    found = np.unique(square[square >= 0])
    of = np.where(square >= 0, np.searchsorted(found, square), -1)
    at = CellPhotos(of, image_ids, len(found))
    held, kept_part = at.average(here.own), at.average(here.other)
    kept = kept_part / np.maximum(held, 1e-9)
    asked = np.flatnonzero((at.photos >= LEAST_PHOTOS) & (held >= LEAST_HELD) & (kept < MOST_KEPT))
    p = at.chance_of(at.means(here.lost - there.lost), asked)
    is_gone = np.zeros(len(found), bool)
    is_gone[asked] = discoveries(p[asked], FALSE_SHARE)
    counts = np.bincount(of[of >= 0], minlength=len(found))
    return OwnCells(found, of, counts, at.photos, held, kept, p, is_gone)


@dataclass(frozen=True)
class ClassChanges:
    """Of cells (K,) whether each network speaks for another class most, and how clearly.

    margin: how many standard errors over photos either prefers its own to the other's, the smaller of the two
    p: the chance of preferences that far apart in networks that prefer alike, on the same photos; 1 where not asked
    """

    is_other: np.ndarray
    margin: np.ndarray
    p: np.ndarray


@dataclass(frozen=True)
class SharedCells:
    """What is told of the cells of the map of both, (K,) each.

    vanishing, appearing: share of the activations that are of cells that vanish from the first network's own map, and
    that appear on the second's
    kept: (K, 2) of what the groups of the first and of the second hold together, the share that holds in the other
    classes: None where they are not known
    """

    vanishing: np.ndarray
    appearing: np.ndarray
    kept: np.ndarray
    classes: ClassChanges | None
    changes: list[Change | None]


def shared_cells(
    at: CellPhotos, held: tuple[Holding, Holding], own: tuple[OwnCells, OwnCells], classes: ClassChanges | None
) -> SharedCells:
    shares = [at.share(cells.is_gone[cells.of] & (cells.of >= 0)) for cells in own]
    kept = np.stack([at.average(each.other) / np.maximum(at.average(each.own), 1e-9) for each in held], axis=1)
    changes: list[Change | None] = [None] * at.cell_count
    if classes is not None:
        is_clear = classes.is_other & (classes.margin >= LEAST_MARGIN) & (kept >= MOST_KEPT).all(axis=1)
        asked = np.flatnonzero(is_clear & (at.photos >= LEAST_PHOTOS))
        for k in asked[discoveries(classes.p[asked], FALSE_SHARE)].tolist():
            changes[k] = "class"
    for k in range(at.cell_count):
        if max(shares[0][k], shares[1][k]) >= MOST_OF:
            changes[k] = "vanishes" if shares[0][k] >= shares[1][k] else "appears"
    return SharedCells(shares[0], shares[1], kept, classes, changes)
