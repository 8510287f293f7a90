"""UMAP by libraries that compute it on a GPU: TorchDR and RAPIDS cuML, where they are installed.

Neighbours are found here, so that none is of an activation's own photo, and the points are spread over the map as
those of the other layouts are; the graph's weights and the descent are the library's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from actatlas.errors import UsageError, first_line
from actatlas.layout.embedding import Curve
from actatlas.layout.framing import framed
from actatlas.layout.manners import manner_of
from actatlas.layout.neighbours import graph_of, nearest_rows, unit_rows
from actatlas.layout.settings import LayoutSettings
from actatlas.layout.spreading import spread_out
from actatlas.progress import Progress
from actatlas.values import Layout

_STEPS_AN_EPOCH = 5  # all points at once: 1,000 steps, TorchDR's usual number, do what 200 of umap-learn's epochs do
FEWEST = 16  # activations; of fewer the libraries can make no graph


def lay_out_on_gpu(
    vectors: np.ndarray, image_ids: np.ndarray, settings: LayoutSettings, layer: str, progress: Progress
) -> Layout:
    """(N, C) activations of one layer, FEWEST or more → their places, by the library that `settings.method` names.

    Raises UsageError where the library fails, as on a GPU without room.
    """
    name, seed = settings.method, settings.seed_of(layer)
    descend = {"torchdr": _by_torchdr, "cuml": _by_cuml}[str(name)]
    with progress.stage(f"layout by {name}", len(vectors), "activations") as tick:
        indices, distances, remarks = nearest_rows(vectors, image_ids, settings.neighbors, seed, lambda count: None)
        try:
            points = descend(vectors, indices, distances, settings, seed)
        except (RuntimeError, ValueError, MemoryError, ImportError) as error:
            raise UsageError(
                f"layout {name} of {layer}: the library fails ({type(error).__name__}: {first_line(error)}); mend "
                "that, or choose another --layout"
            ) from error
        tick(len(vectors))
    for remark in remarks:
        progress.say(f"layout of {layer}: {remark}")
    return framed(spread_out(points), settings.cut_percentile, settings.margin)


def _by_torchdr(
    vectors: np.ndarray, indices: np.ndarray, distances: np.ndarray, settings: LayoutSettings, seed: int
) -> np.ndarray:
    """(N, 2) float64 by TorchDR (Van Assel et al. 2025), on a CUDA GPU where there is one, else on the processor.

    From the places that the other layouts start from: there are some for rows that are all alike too.
    """
    import torch
    from torchdr import UMAP, UMAPAffinity

    graph, _ = graph_of(indices, distances)
    manner = manner_of(replace(settings, method=None), len(vectors))
    start = manner.start(graph, [vectors], Curve.fitted(settings.min_dist), seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    near = torch.from_numpy(distances).to(device), torch.from_numpy(indices.astype(np.int64)).to(device)

    class OtherPhotos(UMAPAffinity):
        """The graph of these neighbours, in place of those that TorchDR would look for."""

        def _distance_matrix(self, *arguments: object, **named: object) -> tuple[torch.Tensor, torch.Tensor]:
            return near

    shared = {"n_neighbors": indices.shape[1] + 1, "backend": None, "device": str(device)}
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        method = UMAP(
            **shared, min_dist=settings.min_dist, max_iter=_STEPS_AN_EPOCH * settings.epochs,
            init=start, init_scaling=float(start[:, 0].std()), process_duplicates=False,
        )  # fmt: skip
        method.affinity_in = OtherPhotos(**shared)
        points = method.fit_transform(torch.from_numpy(start.astype(np.float32)).to(device))
    return points.detach().double().cpu().numpy()


def _by_cuml(
    vectors: np.ndarray, indices: np.ndarray, distances: np.ndarray, settings: LayoutSettings, seed: int
) -> np.ndarray:
    """(N, 2) float64 by RAPIDS cuML (Nolet et al. 2021), which needs an NVIDIA GPU."""
    from cuml.manifold import UMAP

    own = np.arange(len(indices), dtype=np.int64)[:, None]  # as umap-learn has it, a row's first neighbour is itself
    near = np.hstack([own, indices]), np.hstack([np.zeros_like(distances[:, :1]), distances])
    method = UMAP(
        n_neighbors=near[0].shape[1], min_dist=settings.min_dist, metric="cosine", n_epochs=settings.epochs,
        random_state=seed, precomputed_knn=near, output_type="numpy",
    )  # fmt: skip
    return np.asarray(method.fit_transform(unit_rows(vectors)), np.float64)
