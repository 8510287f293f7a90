"""How points find their places: everybody at once, or landmarks first and everybody from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from actatlas.layout import landmarks
from actatlas.layout.crowd import Crowd
from actatlas.layout.embedding import Curve, Graph, Mover, Optimiser, starting_points
from actatlas.layout.settings import LayoutSettings


@dataclass(frozen=True)
class Manner:
    """start: graph, layers' vectors, curve, seed → points (N, 2); mover: graph, curve, epochs, seed → what moves them

    rate: of the first epoch, in UMAP's steps; own_rate: of an aligned layer's, which starts from the map of all layers
    pull: of an aligned layer's regions, where the settings name none
    epochs: of a layer laid out alone, for each of those of the settings
    dtype: of the points that `mover` takes
    """

    start: Callable[[Graph, Iterable[np.ndarray], Curve, int], np.ndarray]
    mover: Callable[[Graph, Curve, int, int], Mover]
    rate: float
    own_rate: float
    pull: float
    epochs: float
    dtype: type[np.floating]

    def epoch_count(self, settings: LayoutSettings) -> int:
        return max(int(settings.epochs * self.epochs), 1)


EVERYBODY = Manner(
    start=lambda graph, vectors, curve, seed: starting_points(graph, vectors, seed),
    mover=Optimiser,
    rate=1.0,
    own_rate=0.1,
    pull=0.4,
    epochs=1.0,
    dtype=np.float64,
)
# A good start needs no large steps, which would tear what is there, and half the epochs.
LANDMARKS = Manner(
    start=landmarks.landmark_start,
    mover=lambda graph, curve, epochs, seed: Crowd(graph, curve, seed),
    rate=0.3,
    own_rate=0.2,
    pull=0.6,
    epochs=0.5,
    dtype=np.float32,
)


def lays_out_landmarks(settings: LayoutSettings, count: int) -> bool:
    """Whether so many activations are laid out from landmarks: a few are no fewer than their landmarks."""
    return settings.method in (None, "landmarks") and count > landmarks.FEW


def manner_of(settings: LayoutSettings, count: int) -> Manner:
    """For so many activations, by UMAP."""
    return LANDMARKS if lays_out_landmarks(settings, count) else EVERYBODY
