"""t-SNE on the same graph: the original found it better for the few activations of a class atlas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from actatlas.errors import MissingExtra
from actatlas.layout.embedding import starting_points
from actatlas.layout.framing import framed
from actatlas.layout.neighbours import neighbour_graph
from actatlas.layout.settings import LayoutSettings
from actatlas.layout.spreading import spread_out
from actatlas.values import Layout

if TYPE_CHECKING:
    from actatlas.progress import Progress

_EARLY, _LATE = 250, 500  # steps; those of openTSNE
_START_DEVIATION = 1e-4


def lay_out_tsne(
    vectors: np.ndarray, image_ids: np.ndarray, settings: LayoutSettings, layer: str, progress: Progress
) -> Layout:
    """(N, C) activations of one layer → their places, by openTSNE (Poličar et al. 2024).

    The graph is UMAP's, normalised, so neighbours of an activation's own photo are left out as in `lay_out`.
    layer: by which `progress` is told where the data leave the map little to show. Raises MissingExtra.
    """
    try:
        from openTSNE import TSNEEmbedding
        from openTSNE.affinity import PrecomputedAffinities
    except ImportError:
        raise MissingExtra("openTSNE", "tsne", "a layout by t-SNE") from None
    if len(vectors) < 4:
        progress.say(f"layout of {layer}: {len(vectors)} activations are too few for t-SNE; they lie in the middle")
        return Layout(np.full((len(vectors), 2), 0.5, np.float32))
    with progress.stage("layout by t-SNE", _EARLY + _LATE, "steps") as tick:
        seed = settings.seed_of("tsne")
        graph, remarks = neighbour_graph(vectors, image_ids, settings.neighbors, seed, lambda count: None)
        start = starting_points(graph, [vectors], seed)
        start = (start - start.mean(axis=0)) / start.std(axis=0) * _START_DEVIATION
        embedding = TSNEEmbedding(start, PrecomputedAffinities(graph.astype(np.float64)), n_jobs=1, random_state=seed)
        embedding.optimize(_EARLY, exaggeration=12, momentum=0.5, inplace=True)
        tick(_EARLY)
        embedding.optimize(_LATE, exaggeration=1, momentum=0.8, inplace=True)
        tick(_LATE)
    for remark in remarks:
        progress.say(f"layout of {layer}: {remark}")
    return framed(spread_out(np.asarray(embedding, np.float64)), settings.cut_percentile, settings.margin)
