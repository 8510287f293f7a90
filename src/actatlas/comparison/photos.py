"""Means over the photos of a cell: activations of one photo are no independent evidence."""

from __future__ import annotations

import numpy as np
from scipy import stats


class CellPhotos:
    """Which photos the activations of each cell are of.

    cell: (P,) of each pair of a cell and a photo that are met in it; pair: (N,) of each activation, −1 outside of cells
    """

    def __init__(self, cell: np.ndarray, image_ids: np.ndarray, cell_count: int):
        self.cell_count = cell_count
        held = cell >= 0
        pairs, of = np.unique(np.stack([cell[held], image_ids[held]], axis=1), axis=0, return_inverse=True)
        self.cell = pairs[:, 0].astype(np.int64)
        self.pair = np.full(len(cell), -1, np.int64)
        self.pair[held] = of.ravel()

    @property
    def pair_count(self) -> int:
        return len(self.cell)

    @property
    def photos(self) -> np.ndarray:
        """(K,) distinct photos."""
        return np.bincount(self.cell, minlength=self.cell_count)

    def means(self, values: np.ndarray) -> np.ndarray:
        """(P,): of the values (N,) of each photo's activations in each cell."""
        held = self.pair >= 0
        counts = np.bincount(self.pair[held], minlength=self.pair_count)
        return np.bincount(self.pair[held], weights=values[held], minlength=self.pair_count) / np.maximum(counts, 1)

    def average(self, values: np.ndarray) -> np.ndarray:
        """(K,): over photos, of the means of the values (N,); each photo counts once."""
        sums = np.bincount(self.cell, weights=self.means(values), minlength=self.cell_count)
        return sums / np.maximum(self.photos, 1)

    def share(self, is_so: np.ndarray) -> np.ndarray:
        """(K,): of each cell's activations, the share for which it is so (N,)."""
        held = self.pair >= 0
        cell = self.cell[self.pair[held]]
        counts = np.bincount(cell, minlength=self.cell_count)
        return np.bincount(cell, weights=is_so[held], minlength=self.cell_count) / np.maximum(counts, 1)

    def chance_of(self, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """(K,): how likely so much above 0 is where a photo's value may as well be the other way round; 1 if not asked.

        values: (P,), NaN where a photo has none; asked: cells. By Wilcoxon's signed ranks (1945), as a few photos often
        have most of what a cell has.
        """
        chance = np.ones(self.cell_count)
        starts = np.searchsorted(self.cell, np.arange(self.cell_count + 1))
        for k in asked.tolist():
            of_cell = values[starts[k] : starts[k + 1]]
            of_cell = of_cell[np.isfinite(of_cell) & (of_cell != 0)]
            if len(of_cell):
                chance[k] = stats.wilcoxon(of_cell, alternative="greater").pvalue
        return chance

    def t_over_photos(self, values: np.ndarray, has: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """t (K,) of the mean over photos against 0, and photos (K,); 0 where there are fewer than two.

        values: of the pairs, (P,) or those that `has` (P,) names
        """
        cell = self.cell if has is None else self.cell[has]
        photos = np.bincount(cell, minlength=self.cell_count)
        many = np.maximum(photos, 1)
        mean = np.bincount(cell, weights=values, minlength=self.cell_count) / many
        squares = np.bincount(cell, weights=(values - mean[cell]) ** 2, minlength=self.cell_count)
        error = np.sqrt(squares / np.maximum(photos - 1, 1) / many)
        # Values that are all alike leave no error: as if they differed by a thousandth.
        return np.where(photos > 1, mean / np.maximum(error, 1e-3 / np.sqrt(many)), 0.0), photos


def discoveries(p: np.ndarray, share: float) -> np.ndarray:
    """Which of the p (K,) are so small that at most this share of them is by chance (Benjamini and Hochberg 1995)."""
    return stats.false_discovery_control(p) <= share if len(p) else np.zeros(0, bool)
