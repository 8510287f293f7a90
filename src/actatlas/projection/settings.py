"""How a second set of photos is compared with an atlas's own."""

from __future__ import annotations

from dataclasses import dataclass

from actatlas.errors import UsageError


@dataclass(frozen=True)
class ProjectionSettings:
    """neighbors: of each activation, by cosine, of other photos
    together: of these, so many that lie closest together on the map say where the activation is placed
    photo_neighbors: of each photo as a whole, the mean of its activations less that of all photos, by cosine
    most_pooled: activations of either set among which neighbours are looked for; beyond, those of photos at random
    most_asked: of the atlas's activations, so many are asked how many of their neighbours are new
    least_asked: a grid whose cells have fewer of these on average says nothing
    shuffles: of which photo is of which set, for what chance alone does
    false_share: of the cells that are told to differ, at most so many by chance (Benjamini and Hochberg 1995)
    false_regions: a region of cells that lie beside one another is told to differ where chance makes one as far off,
        anywhere on the map, no more often than this
    unreached: a cell that differs is, where its reach is at most this
    far_percentile: an activation is far from every member where it is farther than this share of the atlas's own
    """

    neighbors: int = 20
    together: int = 8
    photo_neighbors: int = 15
    most_pooled: int = 65_536
    most_asked: int = 16_384
    least_asked: int = 8
    shuffles: int = 2_000
    false_share: float = 0.1
    false_regions: float = 0.02
    unreached: float = 0.5
    far_percentile: float = 99.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; give a whole number, 0 or more")
