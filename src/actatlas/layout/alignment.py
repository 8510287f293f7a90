"""Layers laid out so that a region keeps its place from layer to layer (docs/decisions/0003-aligned-layouts.md).

1. One layout of the sum of all layers' graphs: a map that every layer can live with, and where all start.
2. Each layer descends on its own graph at a tenth of UMAP's rate, so its neighbourhoods form near where its members
   are on the shared map. Between epochs every layer's regions are pulled to where the same activations are in the
   layers before and after. The pull is averaged over a neighbourhood of the layer's own graph: what belongs together
   in a layer moves together, and the layer's order is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numba
import numpy as np
import scipy.sparse

from actatlas.layout.embedding import Curve, Graph, descend
from actatlas.layout.manners import manner_of
from actatlas.layout.settings import LayoutSettings
from actatlas.progress import Progress

_EPOCHS_BETWEEN_PULLS = 2
_SPAN = 10.0  # of a map that others are laid out beside, in UMAP's units; wider ones tear
# The last tenth, at the lowest rates, is the layer's own: order within cells comes back, places hardly change.
_PULLED_SHARE = 0.9


def lay_out_aligned(
    graphs: Mapping[str, Graph],
    vectors: Mapping[str, np.ndarray],
    curve: Curve,
    settings: LayoutSettings,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """{layer: (N, 2)}, layers in forward order."""
    manner = manner_of(settings, next(iter(graphs.values())).shape[0])
    shared_epochs = settings.epochs // 2
    with progress.stage("shared layout", shared_epochs, "epochs") as tick:
        seed = settings.seed_of("all layers")
        shared_graph = sum(graphs.values(), start=scipy.sparse.csr_matrix(next(iter(graphs.values())).shape))
        shared = manner.start(shared_graph, vectors.values(), curve, seed)
        descend(shared, manner.mover(shared_graph, curve, shared_epochs, seed), shared_epochs, manner.rate, tick)
        del shared_graph

    regions = {layer: Regions(graph) for layer, graph in graphs.items()}
    return _settled({layer: shared.copy() for layer in graphs}, regions, graphs, curve, settings, progress)


def lay_out_beside(
    graphs: Mapping[str, Graph],
    beside: Mapping[str, np.ndarray | None],
    curve: Curve,
    settings: LayoutSettings,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """{layer: (N, 2)} of layers that are added to others, whose places stay: each starts from the nearest one's map.

    beside: all layers in forward order; points (N, 2) in [0, 1] of those that stay, NaN where they are cut off; None
        for those of `graphs`
    """
    dtype = manner_of(settings, next(iter(graphs.values())).shape[0]).dtype
    names = list(beside)
    fixed = [number for number, name in enumerate(names) if name not in graphs]
    regions = {layer: Regions(graph) for layer, graph in graphs.items()}
    starts = {}
    for number, name in enumerate(names):
        nearest = min(fixed, key=lambda other: (abs(other - number), other))  # itself, where it stays
        points = beside[names[nearest]]
        assert points is not None
        placed = regions[name].filled(points) if name in regions else points
        starts[name] = np.nan_to_num(placed, nan=0.5).astype(dtype) * _SPAN
    settled = _settled(starts, regions, graphs, curve, settings, progress)
    return {layer: settled[layer] for layer in graphs}


def _settled(
    starts: Mapping[str, np.ndarray],
    regions: Mapping[str, Regions],
    graphs: Mapping[str, Graph],
    curve: Curve,
    settings: LayoutSettings,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """{layer: (N, 2)}: each layer of `graphs` moved by its own, regions pulled between epochs; the others stay.

    starts: of all layers, in forward order; they are changed
    """
    manner = manner_of(settings, next(iter(graphs.values())).shape[0])
    epochs, points = settings.epochs * 3 // 4, list(starts.values())
    movers = {
        number: manner.mover(graphs[layer], curve, epochs, settings.seed_of(layer))
        for number, layer in enumerate(starts)
        if layer in graphs
    }
    around = [regions.get(layer) for layer in starts]
    pull = manner.pull if settings.pull is None else settings.pull
    with progress.stage("layout", epochs * len(movers), "epochs") as tick:
        for epoch in range(epochs):
            for number, mover in movers.items():
                mover.run(points[number], epoch, manner.own_rate * (1 - epoch / epochs))
                tick(1)
            if epoch % _EPOCHS_BETWEEN_PULLS == 0 and epoch < _PULLED_SHARE * epochs:
                points = pulled(points, around, pull)
    return dict(zip(starts, points, strict=True))


class Regions:
    """Which activations of a layer move together: those within some random steps along its graph."""

    def __init__(self, graph: Graph):
        n = graph.shape[0]
        lazy = graph + scipy.sparse.identity(n, np.float32, format="csr")
        self._step = (scipy.sparse.diags(1 / np.asarray(lazy.sum(axis=1)).ravel()) @ lazy).astype(np.float32).tocsr()
        # The more steps, the larger the region. Longer walks hold regions less, shorter ones cost more cohesion
        # (measured from 1,600 to 12,800 activations); fewer activations make fewer regions.
        self._step_count = int(np.clip(round(0.13 * np.sqrt(n)), 2, 8))

    def means(self, values: np.ndarray) -> np.ndarray:
        """(N, 4) float32: of each activation's region, the mean of `values`, of the same shape and type."""
        for _ in range(self._step_count):
            values = _weighed(self._step.indptr, self._step.indices, self._step.data, values)
        return values

    def filled(self, points: np.ndarray) -> np.ndarray:
        """(N, 2), those without a place put where their region has its middle."""
        is_placed = ~np.isnan(points).any(axis=1, keepdims=True)
        weighted = np.hstack([np.where(is_placed, points, 0), is_placed, is_placed]).astype(np.float32)
        sums = self.means(weighted)
        return np.where(is_placed, points, sums[:, :2] / np.where(sums[:, 2:] > 0, sums[:, 2:], np.nan))


@numba.njit(parallel=True, cache=True)
def _weighed(starts, ends, weights, values):
    """(N, 4): a sparse matrix (N, N) times `values` (N, 4). A row is one thread's, so their number changes no bit."""
    out = np.empty_like(values)
    for i in numba.prange(values.shape[0]):
        a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for e in range(starts[i], starts[i + 1]):
            weight, j = weights[e], ends[e]
            a += weight * values[j, 0]
            b += weight * values[j, 1]
            c += weight * values[j, 2]
            d += weight * values[j, 3]
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = a, b, c, d
    return out


def pulled(points: Sequence[np.ndarray], regions: Sequence[Regions | None], pull: float) -> list[np.ndarray]:
    """Each layer's points, moved by `pull` times the way from its regions' places to theirs in the neighbouring layers.

    points: (N, 2) each; their type of number is kept. regions: None for a layer that stays where it is

    Members of a region are scattered in another layer, so their mean lies too near its middle. Only the order of the
    goals along each axis is used, therefore: the map keeps its extent, and drives no outer region out.
    """
    centred = [layer - layer.mean(axis=0) for layer in points]
    moved = []
    for i, (layer, around) in enumerate(zip(points, regions, strict=True)):
        if around is None:
            moved.append(layer)
            continue
        beside = [centred[j] for j in (i - 1, i + 1) if 0 <= j < len(points)]
        means = around.means(np.hstack([centred[i], np.mean(beside, axis=0)]).astype(np.float32))
        here, goal = means[:, :2], means[:, 2:]
        moved.append((layer + pull * (_spread_as(here, goal) - here)).astype(layer.dtype))
    return moved


def _spread_as(here: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """`goal` (N, 2), its values on each axis replaced in their order by those of `here` (N, 2)."""
    spread = np.empty_like(here)
    np.put_along_axis(spread, np.argsort(goal, axis=0, kind="stable"), np.sort(here, axis=0), axis=0)
    return spread
