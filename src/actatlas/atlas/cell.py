"""One cell of a grid: what it holds, a better icon of it, and the concepts that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from actatlas.errors import UsageError
from actatlas.picture import side_by_side

if TYPE_CHECKING:
    from actatlas.atlas.cells import Grid


_STARTS = 8  # pictures cost no more together than one: a batch is a multiple of eight


@dataclass(frozen=True)
class Icon:
    """A picture and how well it answers.

    image: RGB; cosine, rank, shifted_cosine: as values.Icons has them, among the cells of the grid
    """

    image: Image.Image
    cosine: float
    rank: int
    shifted_cosine: float


@dataclass(frozen=True)
class Facet:
    """One of the concepts in a cell.

    rows: its members, rows of layer.activations; mean: (C,) of them; image_count: distinct photos
    icon: its rank is among the cells and facets together
    """

    rows: np.ndarray
    mean: np.ndarray
    image_count: int
    icon: Icon

    def __len__(self) -> int:
        return len(self.rows)


class Cell:
    """Cell k of a grid."""

    def __init__(self, grid: Grid, k: int):
        self.grid = grid
        self.k = k

    def __repr__(self) -> str:
        of = f"{self.grid.side} × {self.grid.side} of {self.grid.layer.title!r}"
        return f"<Cell {self.column},{self.row} of {of}: {self.count} activations of {self.image_count} photos>"

    @property
    def column(self) -> int:
        return int(self.grid.coordinates[self.k, 0])

    @property
    def row(self) -> int:
        return int(self.grid.coordinates[self.k, 1])

    @property
    def count(self) -> int:
        return int(self.grid.counts[self.k])

    @property
    def image_count(self) -> int:
        return int(self.grid.image_counts[self.k])

    @property
    def mean(self) -> np.ndarray:
        """(C,) float32."""
        return self.grid.means[self.k]

    @property
    def members(self) -> np.ndarray:
        """Rows of layer.activations."""
        return self.grid.members(self.k)

    def channels(self, n: int = 10) -> list[tuple[int, float]]:
        """The channels in which the cell answers most above the layer: index, and `Grid.channel_scores`."""
        scores = self.grid.channel_scores[self.k]
        return [(int(c), float(scores[c])) for c in np.argsort(-scores, kind="stable")[:n]]

    @property
    def icon(self) -> Icon:
        grid, k = self.grid, self.k
        image = Image.fromarray(grid.icons[k])
        return Icon(image, float(grid.cosine[k]), int(grid.rank[k]), float(grid.shifted_cosine[k]))

    def examples(self, n: int = 12) -> list[Image.Image]:
        """Up to n real patches, RGB, side layer.patch_px, one a photo, those nearest its mean first.

        Empty in an atlas without photos.
        """
        return self.grid.examples(self.k, n)

    def picture(self, examples: int = 7, px: int = 128) -> Image.Image:
        """A row, RGB: its icon, and beside it up to so many of its real patches, each px pixels an edge."""
        shown = [self.icon.image, *self.examples(examples)]
        return side_by_side(shown, px, columns=len(shown))

    def render(self, steps: int = 128, px: int | None = None, model: Any = None, seed: int = 0) -> Icon:
        """A better icon, or a larger one: painted on, with so many steps, from the map's icon of this cell and those of
        the seven cells most like it; the best of the eight. Where nothing is painted yet, from nothing.

        px: its side in network input pixels, 8 to 512; None takes the atlas's
        model: the network, where the atlas's spec does not lead to it again
        """
        grid = self.grid
        alike = np.argsort(-(grid.directions @ grid.directions[self.k]), kind="stable")
        alike = alike[grid.is_painted[alike]][:_STARTS]
        starts = grid.icons[alike] if len(alike) else None
        return self._paint(self.mean[None], steps, px, model, seed, starts)[0]

    def facets(
        self, n: int = 3, steps: int = 64, px: int | None = None, model: Any = None, seed: int = 0
    ) -> list[Facet]:
        """The cell's members in up to n clusters of like activations, the largest first, and an icon for each.

        Clusters are by k-means of the activations' directions, less the layer's mean. Fewer than n where the cell has
        fewer members.
        """
        if n < 1:
            raise UsageError(f"facets: n is {n}; ask for at least 1")
        layer, rows = self.grid.layer, self.members
        vectors = layer.activations.vectors[rows].astype(np.float32)
        clusters = clusters_of(vectors - layer.mean, min(n, len(rows)), seed)
        parts = [rows[clusters == c] for c in range(clusters.max() + 1)]
        means = np.stack([vectors[clusters == c].mean(axis=0) for c in range(len(parts))])
        icons = self._paint(means, steps, px, model, seed)
        ids = layer.places.image_ids
        facets = [
            Facet(part, mean, len(np.unique(ids[part])), icon)
            for part, mean, icon in zip(parts, means, icons, strict=True)
        ]
        return sorted(facets, key=len, reverse=True)

    def _paint(
        self,
        targets: np.ndarray,
        steps: int,
        px: int | None,
        model: Any,
        seed: int,
        starts: np.ndarray | None = None,
    ) -> list[Icon]:
        layer = self.grid.layer
        others = np.delete(self.grid.means, self.k, axis=0)
        painted = layer.atlas.paint(layer, targets, others, steps=steps, px=px, model=model, seed=seed, starts=starts)
        return [
            Icon(
                Image.fromarray(painted.pixels[i]),
                float(painted.cosine[i]),
                int(painted.rank[i]),
                float(painted.shifted_cosine[i]),
            )
            for i in range(len(targets))
        ]


def clusters_of(vectors: np.ndarray, n: int, seed: int) -> np.ndarray:
    """(M,) the cluster of each, numbered without gaps. k-means on the unit sphere (Dhillon and Modha 2001)."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    random = np.random.default_rng(seed)
    chosen = [int(random.integers(len(unit)))]
    for _ in range(1, n):  # each start least like those before
        nearest = (unit @ unit[chosen].T).max(axis=1)
        chosen.append(int(np.argmin(nearest)))
    centres = unit[chosen]
    clusters = np.argmax(unit @ centres.T, axis=1)
    for _ in range(50):
        sums = np.stack([unit[clusters == c].sum(axis=0) for c in range(n)])
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        again = np.argmax(unit @ centres.T, axis=1)
        if np.array_equal(again, clusters):
            break
        clusters = again
    return np.unique(clusters, return_inverse=True)[1]
