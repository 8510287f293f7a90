"""One map of several networks: the same photos and places, laid out by what any of the networks finds alike.

Each network has its own fuzzy graph, so their numbers of channels and their scales do not matter. The graphs' union is
the fuzzy set union that UMAP itself makes of its points' views (McInnes et al. 2018, "UMAP", section 3.1: by the
probabilistic t-conorm): an edge of weights a and b weighs a + b − a·b. Where the networks agree it counts once, where
one alone finds two activations alike it counts too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actatlas.layout.embedding import Curve, Graph, descend
from actatlas.layout.framing import framed
from actatlas.layout.manners import manner_of
from actatlas.layout.settings import LayoutSettings
from actatlas.layout.spreading import spread_out
from actatlas.progress import Progress
from actatlas.values import Layout


def united(graphs: Sequence[Graph]) -> Graph:
    """The fuzzy set union of graphs (N, N), weights from 0 to 1."""
    union = graphs[0]
    for graph in graphs[1:]:
        union = (union + graph - union.multiply(graph)).tocsr()
    return union


def lay_out_union(
    graphs: Sequence[Graph], vectors: Sequence[np.ndarray], settings: LayoutSettings, progress: Progress
) -> Layout:
    """The map of several graphs (N, N) of the same rows, by UMAP; from landmarks where there are many.

    vectors: (N, C) of each graph, gone through only where their union falls apart
    """
    graph, curve = united(graphs), Curve.fitted(settings.min_dist)
    manner, seed = manner_of(settings, graph.shape[0]), settings.seed_of("union")
    epochs = manner.epoch_count(settings)
    points = manner.start(graph, vectors, curve, seed)
    with progress.stage("layout", epochs, "epochs") as tick:
        descend(points, manner.mover(graph, curve, epochs, seed), epochs, manner.rate, tick)
    return framed(spread_out(points.astype(np.float64)), settings.cut_percentile, settings.margin)
