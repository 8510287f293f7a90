"""The comparison: rows are matched, one map is laid out, and every cell is asked what either network makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from actatlas.atlas import Layer
from actatlas.comparison.changes import ClassChanges, OwnCells, SharedCells, own_cells, shared_cells
from actatlas.comparison.classes import SharedClasses, Spoken, preferences, shared_classes, spoken
from actatlas.comparison.groups import GROUP, Holding, holding
from actatlas.comparison.likeness import Cka, chance_overlap, cka, neighbour_overlap
from actatlas.comparison.matching import Matched, match_rows
from actatlas.comparison.photos import CellPhotos
from actatlas.errors import TooFewImages
from actatlas.grid import GridSettings, default_sides, make_cells, squares
from actatlas.layout import LayoutSettings, graph_of, lay_out_union, nearest_rows
from actatlas.progress import Progress
from actatlas.values import ActivationSet, Cells, Layout

REGIONS = 5  # along an edge of the map, of which CKA is told: a cell holds too few photos for it
LEAST_REGION_PHOTOS = 20


@dataclass(frozen=True)
class ComparisonSettings:
    """How two layers are compared.

    grid: cells along an edge; 0 takes the coarsest that suits the number of activations
    layout: of the map of both; its `neighbors` are also those that are compared
    min_images: a cell with members from fewer distinct photos is dropped
    """

    grid: int = 0
    layout: LayoutSettings = field(default_factory=LayoutSettings)
    min_images: int = 3

    def __post_init__(self) -> None:
        if self.grid:
            GridSettings(side=self.grid, min_images=self.min_images)


@dataclass(frozen=True)
class Region:
    """A part of the map, a square of REGIONS × REGIONS: its place, activations, and CKA, None of too few photos."""

    column: int
    row: int
    activations: int
    cka: Cka | None


@dataclass(frozen=True)
class Comparison:
    """Two layers on one map, pair by pair of matched rows; K cells, N pairs. What is of both is (first, second).

    vectors: (N, C) float16; cells: of the map of both, the same members, each layer's means
    overlap: (N,) share of the neighbours that both have; chance: what is expected of layers without anything in common
    holding: how far each network's groups hold together; own: the cells of each network's own map
    shared: what is told of the cells of the map of both
    classes, spoken: what cells speak for, of classes that both know; None where nothing is known
    own_spoken: what the cells of each network's own map speak for in it
    whole: CKA of all pairs; regions: of the parts of the map
    """

    layers: tuple[Layer, Layer]
    settings: ComparisonSettings
    matched: Matched
    vectors: tuple[np.ndarray, np.ndarray]
    neighbors: int
    layout: Layout
    cells: tuple[Cells, Cells]
    overlap: np.ndarray
    chance: float
    holding: tuple[Holding, Holding]
    own: tuple[OwnCells, OwnCells]
    shared: SharedCells
    classes: SharedClasses | None
    spoken: tuple[Spoken, Spoken] | None
    own_spoken: tuple[Spoken, Spoken] | None
    whole: Cka | None
    regions: list[Region]

    @property
    def side(self) -> int:
        return self.cells[0].side

    @property
    def cell_overlap(self) -> np.ndarray:
        """(K,) mean over each cell's activations."""
        cells = self.cells[0]
        sums = np.add.reduceat(self.overlap[cells.member_rows].astype(np.float64), cells.member_offsets[:-1])
        return sums / cells.counts

    def region_of(self, k: int) -> Region | None:
        """The region that holds the cell's middle."""
        column, row = self.cells[0].coordinates[k].tolist()
        at = tuple(min(int((place + 0.5) / self.side * REGIONS), REGIONS - 1) for place in (column, row))
        return next((region for region in self.regions if (region.column, region.row) == at), None)

    def side_of(self, number: int) -> ActivationSet:
        """The pairs' activations in the first or the second network, image ids those of the first atlas."""
        layer, rows = self.layers[number], self.matched.rows[number]
        places = layer.places.taken(rows)
        return ActivationSet(self.vectors[number], self.matched.image_ids, places.positions, places.boxes)


def compare_layers(first: Layer, second: Layer, settings: ComparisonSettings, progress: Progress) -> Comparison:
    """Needs no network. The same layers and settings give the same numbers.

    Raises UsageError where too few activations are of the same photos and places, TooFewImages where no cell is left,
    UnfinishedAtlas.
    """
    matched, how = match_rows(first, second), settings.layout
    layers = first, second
    vectors = _rows_of(first, matched.rows[0]), _rows_of(second, matched.rows[1])
    groups, graphs = [], []
    with progress.stage("neighbours", 2 * len(matched), "activations") as tick:
        for layer, of_layer in zip(layers, vectors, strict=True):
            wide, distances, remarks = nearest_rows(
                of_layer, matched.image_ids, GROUP * how.neighbors, how.seed_of(layer.name), tick
            )
            graph, islands = graph_of(wide[:, : how.neighbors], distances[:, : how.neighbors])
            for remark in remarks + islands:
                progress.say(f"{layer.atlas.folder.name}, {layer.name}: {remark}")
            groups.append(wide)
            graphs.append(graph)
    layout = lay_out_union(graphs, vectors, how, progress)
    del graphs
    return _looked_at(layers, settings, matched, vectors, (groups[0], groups[1]), layout)


def _looked_at(
    layers: tuple[Layer, Layer],
    settings: ComparisonSettings,
    matched: Matched,
    vectors: tuple[np.ndarray, np.ndarray],
    groups: tuple[np.ndarray, np.ndarray],
    layout: Layout,
) -> Comparison:
    side = settings.grid or default_sides(len(matched))[0]
    cells = _both_cells(matched, vectors, layout, GridSettings(side, settings.min_images))
    at = CellPhotos(cells[0].of_rows(len(matched)), matched.image_ids, len(cells[0]))
    near = groups[0][:, : settings.layout.neighbors], groups[1][:, : settings.layout.neighbors]
    held = holding(groups[0], near[0], near[1]), holding(groups[1], near[1], near[0])
    squares_of = [squares(layer.layout[rows], side) for layer, rows in zip(layers, matched.rows, strict=True)]
    ids = matched.image_ids
    own = own_cells(squares_of[0], ids, held[0], held[1]), own_cells(squares_of[1], ids, held[1], held[0])
    classes = shared_classes(*layers)
    said = None if classes is None else _said(layers, matched, at, classes)
    other = None if said is None or classes is None else _class_changes(layers, matched, at, classes, said)
    seed = settings.layout.seed_of("cka")
    own_said = None if said is None or classes is None else _own_said(layers, matched, own, classes)
    return Comparison(
        layers=layers, settings=settings, matched=matched, vectors=vectors, neighbors=near[0].shape[1], layout=layout,
        cells=cells, overlap=neighbour_overlap(*near), chance=chance_overlap(ids, near[0].shape[1]), holding=held,
        own=own, shared=shared_cells(at, held, own, other), classes=classes, spoken=said, own_spoken=own_said,
        whole=cka(vectors[0], vectors[1], ids, seed), regions=_regions(vectors, matched, layout, seed),
    )  # fmt: skip


def _rows_of(layer: Layer, rows: np.ndarray) -> np.ndarray:
    """(n, C) float16, in the order of `rows`."""
    order = np.argsort(rows, kind="stable")
    vectors = np.empty((len(rows), layer.info.shape[0]), np.float16)
    start = 0
    for part in layer.read_rows(rows[order]):
        vectors[order[start : start + len(part)]] = part.vectors
        start += len(part)
    return vectors


def _both_cells(
    matched: Matched, vectors: tuple[np.ndarray, np.ndarray], layout: Layout, grid: GridSettings
) -> tuple[Cells, Cells]:
    """The same members. Raises TooFewImages."""
    one, other = (_cells_of(of_layer, matched.image_ids, layout, grid) for of_layer in vectors)
    if not len(one):
        raise TooFewImages(
            f"no cell of a {grid.side} × {grid.side} grid holds {grid.min_images} photos; ask for a smaller --grid, or "
            "build both atlases with more photos or --positions"
        )
    return one, other


def _cells_of(vectors: np.ndarray, image_ids: np.ndarray, layout: Layout, grid: GridSettings) -> Cells:
    nowhere = np.zeros((len(vectors), 4), np.float32)
    whole = ActivationSet(vectors, image_ids, nowhere[:, :2], nowhere)
    return make_cells(layout, lambda: iter([whole]), mean_of(vectors), grid)


def mean_of(vectors: np.ndarray) -> np.ndarray:
    """(C,) float32"""
    return vectors.mean(axis=0, dtype=np.float64).astype(np.float32)


def _said(
    layers: tuple[Layer, Layer], matched: Matched, at: CellPhotos, classes: SharedClasses
) -> tuple[Spoken, Spoken] | None:
    one, other = (spoken(layer, rows, at, of) for layer, rows, of in zip(layers, matched.rows, classes.of, strict=True))
    return None if one is None or other is None else (one, other)


def _own_said(
    layers: tuple[Layer, Layer], matched: Matched, own: tuple[OwnCells, OwnCells], classes: SharedClasses
) -> tuple[Spoken, Spoken] | None:
    one, other = (
        spoken(layer, rows, CellPhotos(cells.of, matched.image_ids, len(cells.square)), of)
        for layer, rows, cells, of in zip(layers, matched.rows, own, classes.of, strict=True)
    )
    return None if one is None or other is None else (one, other)


def _class_changes(
    layers: tuple[Layer, Layer], matched: Matched, at: CellPhotos, classes: SharedClasses, said: tuple[Spoken, Spoken]
) -> ClassChanges:
    """Each network's preference of its own top class to the other's, and what they add up to."""
    tops = said[0].top, said[1].top
    asked = (tops[0] >= 0) & (tops[1] >= 0) & (tops[0] != tops[1])
    prefer = []
    for number, (layer, rows, of) in enumerate(zip(layers, matched.rows, classes.of, strict=True)):
        both = of[np.stack([tops[number], tops[1 - number]], axis=1)]
        prefer.append(preferences(layer, rows, at, np.where(asked[:, None], both, -1)))
    has = np.isfinite(prefer[0]) & np.isfinite(prefer[1])
    t = [at.t_over_photos(each[has], has)[0] for each in prefer]
    # The networks saw the same photos: what a photo has of both classes falls out of the sum.
    chance = at.chance_of(prefer[0] + prefer[1], np.flatnonzero(asked))
    return ClassChanges(asked, np.minimum(*t), chance)


def _regions(vectors: tuple[np.ndarray, np.ndarray], matched: Matched, layout: Layout, seed: int) -> list[Region]:
    square = squares(layout.points, REGIONS)
    found = []
    for number in np.unique(square[square >= 0]).tolist():
        rows = np.flatnonzero(square == number)
        ids = matched.image_ids[rows]
        enough = len(np.unique(ids)) >= LEAST_REGION_PHOTOS
        told = cka(vectors[0][rows], vectors[1][rows], ids, seed) if enough else None
        found.append(Region(number % REGIONS, number // REGIONS, len(rows), told))
    return found
