"""The stage from vectors to layouts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from actatlas.layout.alignment import lay_out_aligned
from actatlas.layout.embedding import Curve, Graph, Optimiser, starting_points
from actatlas.layout.neighbours import neighbour_graph
from actatlas.layout.settings import LayoutSettings
from actatlas.layout.spreading import spread_out
from actatlas.progress import Progress
from actatlas.values import Layout

# x·side is then exact in float32 for every side of a grid, so nobody's cells differ by rounding.
_LATTICE = 32768
_MARGIN_OF_GIVEN = 0.02  # of the map's side: no point of a user's own layout is cut off


def lay_out(
    vectors: Mapping[str, np.ndarray], image_ids: np.ndarray, settings: LayoutSettings, progress: Progress
) -> dict[str, Layout]:
    """Every layer's layout, by UMAP with cosine distance. The same seed gives the same points.

    vectors: {layer: (N, C) float16}, finite, layers in forward order; row i is the same photo and place in every layer
    image_ids: (N,) the photo of each row: neighbours of the same photo are left out of the graph

    `progress` is told where the data leave the map little to show. Points are multiples of 1/32768.
    """
    n = len(image_ids)
    if not vectors or n == 0:
        raise ValueError("a layout needs a layer and an activation")
    for layer, rows in vectors.items():
        if len(rows) != n:
            raise ValueError(f"layers share rows: {n} image ids, but {len(rows)} vectors of {layer}")
    if n == 1:
        progress.say("layout: one activation, one point in the middle")
        return {layer: Layout(np.full((1, 2), 0.5, np.float32)) for layer in vectors}

    graphs = {}
    with progress.stage("neighbours", n * len(vectors), "activations") as tick:
        for layer, rows in vectors.items():
            graphs[layer], remarks = neighbour_graph(rows, image_ids, settings.neighbors, settings.seed_of(layer), tick)
            for remark in remarks:
                progress.say(f"layout of {layer}: {remark}")
    curve = Curve.fitted(settings.min_dist)
    is_aligned = settings.align and len(vectors) > 1
    place = lay_out_aligned if is_aligned else lay_out_alone
    points = place(graphs, vectors, curve, settings, progress)
    return {layer: framed(spread_out(points[layer]), settings.cut_percentile, settings.margin) for layer in vectors}


def lay_out_alone(
    graphs: Mapping[str, Graph],
    vectors: Mapping[str, np.ndarray],
    curve: Curve,
    settings: LayoutSettings,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """{layer: (N, 2)}, each layer's UMAP as if there were no other."""
    placed = {}
    with progress.stage("layout", settings.epochs * len(graphs), "epochs") as tick:
        for layer, graph in graphs.items():
            seed = settings.seed_of(layer)
            points = starting_points(graph, [vectors[layer]], seed)
            optimiser = Optimiser(graph, curve, settings.epochs, seed)
            for epoch in range(settings.epochs):
                optimiser.run(points, epoch, 1 - epoch / settings.epochs)
                tick(1)
            placed[layer] = points
    return placed


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
