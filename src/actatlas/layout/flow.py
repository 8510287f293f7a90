"""The stage from vectors to layouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from actatlas.heap import give_back
from actatlas.layout.alignment import lay_out_aligned, lay_out_beside
from actatlas.layout.embedding import Curve, Graph, descend
from actatlas.layout.foreign import ON_GPU, points_of_plugin
from actatlas.layout.framing import framed
from actatlas.layout.gpu import FEWEST, lay_out_on_gpu
from actatlas.layout.manners import manner_of
from actatlas.layout.neighbours import neighbour_graph
from actatlas.layout.settings import LayoutSettings
from actatlas.layout.spreading import spread_out
from actatlas.layout.tsne import lay_out_tsne
from actatlas.progress import Progress
from actatlas.values import Layout


def lay_out(
    vectors: Mapping[str, np.ndarray],
    image_ids: np.ndarray,
    settings: LayoutSettings,
    progress: Progress,
    beside: Mapping[str, np.ndarray | None] = MappingProxyType({}),
) -> dict[str, Layout]:
    """Every layer's layout, by UMAP with cosine distance. The same seed gives the same points.

    vectors: {layer: (N, C) float16}, finite, layers in forward order; row i is the same photo and place in every layer
    image_ids: (N,) the photo of each row: neighbours of the same photo are left out of the graph
    beside: where layers are added to others, all of them in forward order: {layer: its points (N, 2) in [0, 1], which
        stay as they are; None for one of `vectors`}

    `progress` is told where the data leave the map little to show. Points are multiples of 1/32768.
    """
    n = len(image_ids)
    if not vectors or n == 0:
        raise ValueError("a layout needs a layer and an activation")
    vectors = _RowsShared(vectors, n)
    if n == 1:
        progress.say("layout: one activation, one point in the middle")
        return {layer: Layout(np.full((len(vectors[layer]), 2), 0.5, np.float32)) for layer in vectors}

    if settings.method not in (None, "umap", "landmarks"):
        return _otherwise(vectors, image_ids, settings, progress)
    graphs = {}
    with progress.stage("neighbours", n * len(vectors), "activations") as tick:
        for layer in vectors:  # read for this call alone: of many activations two layers would not fit into memory
            seed = settings.seed_of(layer)
            graphs[layer], remarks = neighbour_graph(vectors[layer], image_ids, settings.neighbors, seed, tick)
            for remark in remarks:
                progress.say(f"layout of {layer}: {remark}")
            give_back()
    curve = Curve.fitted(settings.min_dist)
    if settings.align and beside:
        points = lay_out_beside(graphs, beside, curve, settings, progress)
    else:
        place = lay_out_aligned if settings.align and len(vectors) > 1 else lay_out_alone
        points = place(graphs, vectors, curve, settings, progress)
    return {
        layer: framed(spread_out(points[layer].astype(np.float64)), settings.cut_percentile, settings.margin)
        for layer in vectors
    }


class _RowsShared(Mapping[str, np.ndarray]):
    """Layers' vectors (N, C), held to one N as each is read: to look beforehand would be to read them all twice."""

    def __init__(self, vectors: Mapping[str, np.ndarray], count: int):
        self._vectors = vectors
        self._count = count

    def __iter__(self) -> Iterator[str]:
        return iter(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, layer: str) -> np.ndarray:
        rows = self._vectors[layer]
        if len(rows) != self._count:
            raise ValueError(f"layers share rows: {self._count} image ids, but {len(rows)} vectors of {layer}")
        return rows


def _otherwise(
    vectors: Mapping[str, np.ndarray], image_ids: np.ndarray, settings: LayoutSettings, progress: Progress
) -> dict[str, Layout]:
    """By t-SNE, on a GPU or by a plug-in, each layer for itself."""
    if settings.align and len(vectors) > 1:
        progress.say(f"layout by {settings.method}: each layer has a map of its own; places do not stay between layers")
    if settings.method == "tsne":
        return {layer: lay_out_tsne(vectors[layer], image_ids, settings, layer, progress) for layer in vectors}
    if settings.method in ON_GPU and len(image_ids) < FEWEST:
        progress.say(f"layout: {len(image_ids)} activations are too few for {settings.method}; laid out here")
        return lay_out(vectors, image_ids, replace(settings, method=None, align=False), progress)
    if settings.method in ON_GPU:
        return {layer: lay_out_on_gpu(vectors[layer], image_ids, settings, layer, progress) for layer in vectors}
    placed = {layer: points_of_plugin(vectors[layer], image_ids, settings, layer) for layer in vectors}
    return {layer: framed(points, settings.cut_percentile, settings.margin) for layer, points in placed.items()}


def lay_out_alone(
    graphs: Mapping[str, Graph],
    vectors: Mapping[str, np.ndarray],
    curve: Curve,
    settings: LayoutSettings,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """{layer: (N, 2)}, each layer's UMAP as if there were no other."""
    manner = manner_of(settings, next(iter(graphs.values())).shape[0])
    epochs, placed = manner.epoch_count(settings), {}
    with progress.stage("layout", epochs * len(graphs), "epochs") as tick:
        for layer, graph in graphs.items():
            seed = settings.seed_of(layer)
            points = manner.start(graph, (vectors[name] for name in (layer,)), curve, seed)
            descend(points, manner.mover(graph, curve, epochs, seed), epochs, manner.rate, tick)
            placed[layer] = points
    return placed
