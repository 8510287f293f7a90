"""A layer's map with a second set of photos on it: where each activation falls, and what each cell has of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actatlas.atlas import Atlas, Grid, Layer
from actatlas.grid import cells_at, squares, squares_with_photos
from actatlas.progress import Progress
from actatlas.projection.nearest import Pool, unit_rows
from actatlas.projection.placing import placed
from actatlas.projection.reaching import Neighbours, Reach, ask, asked_of, reach_of
from actatlas.projection.settings import ProjectionSettings

_RESAMPLES = 1_000
_LEAST_PHOTOS = 3  # of the new set in a square that the atlas keeps no cell in


@dataclass(frozen=True)
class OnGrid:
    """What the cells of one grid have of both sets, K cells as the grid has them.

    counts, photos: (K,) int64, new activations that fall into each, and distinct new photos; far: (K,) of these
    activations those far from every member of the atlas
    reach: of each; None where the grid has too few activations a cell to say
    beyond: (n, 3) int64, column, row and distinct photos of squares that hold new photos and no cell of the atlas
    """

    grid: Grid
    counts: np.ndarray
    photos: np.ndarray
    far: np.ndarray
    reach: Reach | None
    beyond: np.ndarray


@dataclass(frozen=True)
class OnLayer:
    """points: (N, 2) float32 in [0, 1]; distances: (N,) float32, cosine distance to the nearest activation of the atlas

    far_from: the distance beyond which an activation is far from every member; own_far_share: of the atlas's own
    activations the share beyond it, by other photos
    far_share: of the new ones; far_interval: 95%, by resampling photos
    own_photos, own_activations: of the atlas's, among which neighbours were looked for; shared_photos: of both sets
    """

    layer: Layer
    points: np.ndarray
    distances: np.ndarray
    far_from: float
    own_far_share: float
    far_share: float
    far_interval: tuple[float, float]
    own_photos: int
    own_activations: int
    shared_photos: int
    grids: dict[int, OnGrid]

    @property
    def is_far(self) -> np.ndarray:
        return self.distances > self.far_from


def on_layer(
    layer: Layer, second: Atlas, same_photo: dict[int, int], settings: ProjectionSettings, progress: Progress
) -> OnLayer:
    """same_photo: ids of the second set's photos that the atlas is made of too → their ids there"""
    own = _own_pool(layer, settings)
    ids = second.layer(layer.name).places.image_ids
    photos = _numbered(ids, same_photo, int(layer.places.image_ids.max()) + 1)
    new = _new_pool(second.layer(layer.name), photos, settings)
    asked = asked_of(own, settings)
    looked_up = len(ids) + 2 * (len(asked) + len(np.unique(own.photos[asked])))
    with progress.stage(f"Comparing {layer.name}", looked_up, "activations") as tick:
        neighbours = ask(own, new, asked, settings, tick)
        points, distances = _placed(layer, second, own, photos, settings, tick)
    usual = neighbours.nearest_own
    far_from = float(np.percentile(usual[np.isfinite(usual)], settings.far_percentile))
    is_far = distances > far_from
    grids = {
        side: _on_grid(layer.grid(side), points, ids, is_far, (own, neighbours), settings) for side in layer.grid_sides
    }
    return OnLayer(
        layer=layer, points=points, distances=distances, far_from=far_from,
        own_far_share=float((usual > far_from).mean()), far_share=float(is_far.mean()),
        far_interval=_interval(is_far, ids, settings.seed), own_photos=own.photo_count, own_activations=len(own),
        shared_photos=len(set(same_photo) & set(ids.tolist())), grids=grids,
    )  # fmt: skip


def _own_pool(layer: Layer, settings: ProjectionSettings) -> Pool:
    """Of photos at random, all their activations that have a place on the map."""
    ids = layer.places.image_ids
    rows = np.flatnonzero(~np.isnan(layer.layout).any(axis=1))
    return _pool(layer, rows, ids, ids, settings)


def _new_pool(layer: Layer, photos: np.ndarray, settings: ProjectionSettings) -> Pool:
    return _pool(layer, np.arange(len(photos)), layer.places.image_ids, photos, settings)


def _pool(layer: Layer, rows: np.ndarray, ids: np.ndarray, photos: np.ndarray, settings: ProjectionSettings) -> Pool:
    if len(rows) > settings.most_pooled:
        order = np.random.default_rng((settings.seed, 0)).permutation(np.unique(ids))
        turn = np.empty(int(ids.max()) + 1, np.int64)
        turn[order] = np.arange(len(order))
        first = np.sort(turn[ids[rows]])[settings.most_pooled]
        rows = rows[turn[ids[rows]] < first]
    unit = np.concatenate([unit_rows(part.vectors) for part in layer.read_rows(rows)])
    return Pool(unit, photos[rows], rows)


def _numbered(ids: np.ndarray, same_photo: dict[int, int], beyond: int) -> np.ndarray:
    """(N,) int64: the atlas's id where the photo is its own too; another number where it is not."""
    known, place = np.unique(ids, return_inverse=True)
    return np.array([same_photo.get(i, beyond + i) for i in known.tolist()], np.int64)[place]


def _placed(
    layer: Layer, second: Atlas, own: Pool, photos: np.ndarray, settings: ProjectionSettings, tick
) -> tuple[np.ndarray, np.ndarray]:
    points, nearness, start = layer.layout[own.rows], [], 0
    found = []
    for part in second.layer(layer.name).read_shards():
        of_part = photos[start : start + len(part)]
        indices, distances = own.nearest(unit_rows(part.vectors), of_part, settings.neighbors, tick)
        found.append(placed(points, indices, distances, settings.together))
        nearness.append(distances[:, 0])
        start += len(part)
    return np.concatenate(found), np.concatenate(nearness)


def _on_grid(
    grid: Grid,
    points: np.ndarray,
    ids: np.ndarray,
    is_far: np.ndarray,
    own: tuple[Pool, Neighbours],
    settings: ProjectionSettings,
) -> OnGrid:
    pool, neighbours = own
    kept = grid.coordinates[:, 1].astype(np.int64) * grid.side + grid.coordinates[:, 0]
    square = squares(points, grid.side)
    cell = cells_at(kept, square)
    asked_square = squares(grid.layer.layout[pool.rows[neighbours.asked]], grid.side)
    reach = None
    if len(grid) and len(neighbours.asked) >= settings.least_asked * len(grid):
        reach = reach_of(neighbours, cells_at(kept, asked_square), kept, grid.side, settings)
    return OnGrid(
        grid=grid,
        counts=np.bincount(cell[cell >= 0], minlength=len(grid)),
        photos=_distinct_photos(cell, ids, len(grid)),
        far=np.bincount(cell[(cell >= 0) & is_far], minlength=len(grid)),
        reach=reach,
        beyond=_beyond(square[cell < 0], ids[cell < 0], grid.side),
    )


def _distinct_photos(cell: np.ndarray, ids: np.ndarray, cell_count: int) -> np.ndarray:
    found, photos = squares_with_photos(cell, ids, 1)
    counts = np.zeros(cell_count, np.int64)
    counts[found] = photos
    return counts


def _beyond(square: np.ndarray, ids: np.ndarray, side: int) -> np.ndarray:
    found, photos = squares_with_photos(square, ids, _LEAST_PHOTOS)
    return np.stack([found % side, found // side, photos], axis=1).astype(np.int64)


def _interval(is_far: np.ndarray, ids: np.ndarray, seed: int) -> tuple[float, float]:
    """95%, of the share that is far: photos are drawn again and again, with all their activations."""
    _, photo = np.unique(ids, return_inverse=True)
    far, of = np.bincount(photo, weights=is_far), np.bincount(photo)
    random, shares = np.random.default_rng((seed, 3)), np.empty(_RESAMPLES)
    for i in range(_RESAMPLES):
        drawn = random.integers(0, len(of), len(of))
        shares[i] = far[drawn].sum() / of[drawn].sum()
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)
