"""The cells of one grid of a layer, with icons, classes and the photos behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from actatlas.atlas.cell import Cell
from actatlas.bands import false_colours
from actatlas.errors import UnfinishedAtlas, UsageError
from actatlas.picture import draw
from actatlas.store import levels, paths, pictures

if TYPE_CHECKING:
    from actatlas.atlas.layer import Layer


# What a cell may not be taken for, and how it says so.
REMARKS = {
    "icon": "the icon answers less like this cell than its own photos do",
    "members": "the activations of this cell have little in common",
}
_LEAST_AGREEMENT = 0.05  # mean cosine of two members of a cell …
_LEAST_SHARE = 0.25  # … and that over the median of all cells: below either, they have little in common
_ROWS_AT_ONCE = 2048  # of the cosines of all cells to all others


class Grid:
    """The kept cells of one grid: K of them, row-major, row 0 on top. Arrays as values.Cells and values.Icons say."""

    def __init__(self, layer: Layer, side: int):
        self.layer = layer
        self.side = side
        self._files = layer.atlas.files
        self._cells_path = paths.cells(layer.home, side)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.side} × {self.side} of {self.layer.title!r}: {len(self)} cells>"

    def __len__(self) -> int:
        return len(self.coordinates)

    @cached_property
    def coordinates(self) -> np.ndarray:
        return self._cells("coordinates")

    @cached_property
    def counts(self) -> np.ndarray:
        return self._cells("counts")

    @cached_property
    def image_counts(self) -> np.ndarray:
        return self._cells("image_counts")

    @cached_property
    def means(self) -> np.ndarray:
        return self._cells("means")

    @cached_property
    def cohesion(self) -> np.ndarray:
        return self._cells("cohesion")

    @cached_property
    def attributions(self) -> np.ndarray | None:
        """(K, classes) float32: the mean over the members, or its estimate from some (`attribution_errors`).

        Within a tenth in an atlas without activations, which carries them in six bits.
        """
        if self._is_sampled:
            return self._files.read_arrays(self._sampled_path, ["attributions"])["attributions"]
        arrays = self._files.read_arrays(self._cells_path, ["attributions", "attribution_levels", "attribution_peaks"])
        if "attribution_levels" in arrays:
            peaks = arrays["attribution_peaks"]
            over_mean = levels.from_levels(levels.inflated(arrays["attribution_levels"], len(peaks)), peaks)
            return over_mean + self.layer.attribution_mean
        return arrays.get("attributions")

    @cached_property
    def attribution_errors(self) -> np.ndarray | None:
        """(K, classes) float32, standard errors of `attributions`; None where all members carry them."""
        if not self._is_sampled:
            return None
        return self._files.read_arrays(self._sampled_path, ["errors"])["errors"].astype(np.float32)

    @cached_property
    def attribution_photos(self) -> np.ndarray:
        """(K,) distinct photos that `attributions` are of."""
        if not self._is_sampled:
            return self.image_counts
        return self._files.read_arrays(self._sampled_path, ["photos"])["photos"]

    @cached_property
    def attributions_over_mean(self) -> np.ndarray | None:
        """(K, classes) float32: over what the layer's average activation speaks for.

        Labels are by these: as they are, a few classes whose logits nearly every activation raises would label half of
        the map (decision 0009).
        """
        return None if self.attributions is None else self.attributions - self.layer.attribution_mean

    @cached_property
    def kept_regions(self) -> dict[str, np.ndarray] | None:
        """What an atlas without activations carries of its regions: `region_of` (K,), −1 for none; and of each region
        `region_classes` and `region_scores` (R, n), classes that are none −1. None in other atlases."""
        return self._files.read_arrays(self._cells_path, ["region_of", "region_classes", "region_scores"]) or None

    @cached_property
    def channel_scores(self) -> np.ndarray:
        """(K, C) float32: how far each channel of a cell's mean is above the layer's, in deviations.

        The deviation is over the cells' means, so a channel that answers to everything scores nowhere.
        """
        if not len(self):
            return np.empty_like(self.means)
        deviations = np.maximum(self.means.std(axis=0), 1e-6)
        return (self.means - self.layer.mean) / deviations

    def strongest_channels(self, n: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Of each cell, indices (K, n) int64 and `channel_scores` (K, n), the strongest first."""
        kept = self._files.read_arrays(self._cells_path, ["strong_channels", "strong_scores"])
        if kept:
            return kept["strong_channels"][:, :n].astype(np.int64), kept["strong_scores"][:, :n]
        order = np.argsort(-self.channel_scores, axis=1, kind="stable")[:, :n]
        return order, np.take_along_axis(self.channel_scores, order, axis=1)

    def nearest_cells(self, n: int = 6) -> tuple[np.ndarray, np.ndarray]:
        """Of each cell the n others whose means are most like its own: indices (K, n) int64 and cosines (K, n) float32.

        Cosines of means less the layer's mean. n is at most K − 1.
        """
        kept = self._files.read_arrays(self._cells_path, ["near_cells", "near_cosines"])
        if kept:
            return kept["near_cells"][:, :n].astype(np.int64), kept["near_cosines"][:, :n]
        n = max(min(n, len(self) - 1), 0)
        found, cosines = np.empty((len(self), n), np.int64), np.empty((len(self), n), np.float32)
        directions = self.directions
        for start in range(0, len(self), _ROWS_AT_ONCE):
            rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(self)))
            likeness = directions[rows] @ directions.T
            likeness[np.arange(len(rows)), rows] = -np.inf
            found[rows] = np.argsort(-likeness, axis=1, kind="stable")[:, :n]
            cosines[rows] = np.take_along_axis(likeness, found[rows], axis=1)
        return found, cosines

    @property
    def has_means(self) -> bool:
        """Whether it carries its cells' means; the shipped atlas does not."""
        return "means" in self._files.array_names(self._cells_path)

    @property
    def has_neighbours(self) -> bool:
        """Whether it carries, without means, what `nearest_cells` and `strongest_channels` say."""
        return "near_cells" in self._files.array_names(self._cells_path)

    @cached_property
    def directions(self) -> np.ndarray:
        """(K, C) float32 of length 1: the means less the layer's mean."""
        centred = self.means - self.layer.mean
        return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)

    def along(self, direction: np.ndarray) -> np.ndarray:
        """(K,) float32 in [−1, 1]: of each cell's mean, less the layer's, the cosine with a direction (C,)."""
        return self.directions @ (direction / max(float(np.linalg.norm(direction)), 1e-12)).astype(np.float32)

    def cell(self, k: int) -> Cell:
        """Raises UsageError where there are not so many cells."""
        self._require(k)
        return Cell(self, k)

    def _require(self, k: int) -> None:
        if not 0 <= k < len(self):
            raise UsageError(
                f"the {self.side} × {self.side} grid of {self.layer.name} has cells 0 to {len(self) - 1}, not {k}"
            )

    def cell_at(self, column: int, row: int) -> Cell:
        """Raises UsageError where that square is empty."""
        found = np.flatnonzero((self.coordinates == (column, row)).all(axis=1))
        if not len(found):
            raise UsageError(f"the {self.side} × {self.side} grid of {self.layer.name} has no cell at {column},{row}")
        return Cell(self, int(found[0]))

    def photos(self, k: int) -> np.ndarray:
        """Ids of the distinct photos that the members come from, ascending."""
        return np.unique(self.layer.places.image_ids[self.members(k)])

    def members(self, k: int) -> np.ndarray:
        """Rows of layer.activations. Raises UsageError where there are not so many cells."""
        self._require(k)
        offsets = self._member_offsets
        return self._member_rows[offsets[k] : offsets[k + 1]]

    def nearest_rows(self, k: int, n: int) -> np.ndarray:
        """Rows of layer.activations: up to n members of different photos, nearest the mean first."""
        stored = self._cells_example_rows[k]
        if n <= len(stored) or stored[-1] < 0:
            return stored[stored >= 0][:n]
        return self.layer.nearest_rows(self.members(k), self.means[k], n)

    # --- icons

    @cached_property
    def icons(self) -> np.ndarray:
        """(K, S, S, 3) uint8, S in network input pixels; grey where not painted yet (`is_painted`).

        Of a network that takes more than three channels they are in false colours; `raw_icons` has the channels.
        """
        return false_colours(self.raw_icons)

    @cached_property
    def raw_icons(self) -> np.ndarray:
        """(K, S, S, channels) uint8: what is fed to the network; three channels, all equal, for a grey one."""
        size = self.layer.icon_px
        channel_count = max(self.layer.atlas.preprocessing.channel_count, 3)
        pixels = np.full((len(self), size, size, channel_count), 128, np.uint8)
        for rows, chunk in self._icon_chunks(("encoded", "offsets")):
            if len(rows):
                pixels[rows] = pictures.decode(**chunk, channel_count=channel_count)
        return pixels

    @property
    def icon_paths(self) -> list[str]:
        """The files of icons so far; a later one's icon of a cell is in the place of an earlier one's."""
        return self._files.committed(paths.icon_chunks(self.layer.home, self.side))

    @cached_property
    def is_painted(self) -> np.ndarray:
        """(K,) bool."""
        return ~np.isnan(self.cosine)

    @cached_property
    def cosine(self) -> np.ndarray:
        """(K,) float32; NaN where not painted yet."""
        return self._fidelity("cosine")

    @cached_property
    def rank(self) -> np.ndarray:
        """(K,) float32: how many cells' means the icon's answer is nearer to than to its own; 0 is "identified"."""
        return self._fidelity("rank")

    @cached_property
    def shifted_cosine(self) -> np.ndarray:
        return self._fidelity("shifted_cosine")

    @cached_property
    def remarks(self) -> list[tuple[str, ...]]:
        """For each cell the keys of `REMARKS` that hold for it: none for most.

        An icon is measured by the cell's own activations: their mean cosine to the cell's mean is `cohesion`.
        """
        if not len(self):
            return []
        n = self.counts.astype(np.float64)
        # n unit vectors with a mean cosine of r to one another have one of √((1 + (n − 1) r) / n) to their mean.
        agreement = np.where(n > 1, (n * self.cohesion.astype(np.float64) ** 2 - 1) / np.maximum(n - 1, 1), 1.0)
        disagree = agreement < max(_LEAST_AGREEMENT, _LEAST_SHARE * float(np.median(agreement)))
        failing = self.cosine < self.cohesion  # not so where nothing is painted yet
        return [("icon",) * bool(f) + ("members",) * bool(d) for f, d in zip(failing, disagree, strict=True)]

    @property
    def icon_seconds(self) -> float | None:
        """Measured seconds an icon, everything included; None if nothing was painted on this machine."""
        return self.layer.atlas.timings["icons"].get(f"{self.layer.name}/{self.side}")

    # --- classes and photos

    def top_classes(self, n: int = 5) -> tuple[np.ndarray, np.ndarray] | None:
        """Classes that each cell speaks for more than the layer's average activation does, most of all first.

        Indices (K, n) int64 and `attributions_over_mean` (K, n) float32, or None.
        """
        over_mean = self.attributions_over_mean
        if over_mean is None:
            return None
        order = np.argsort(-over_mean, axis=1, kind="stable")[:, :n]
        return order, np.take_along_axis(over_mean, order, axis=1)

    @cached_property
    def regions(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Of each cell the region that most of its members belong to, an index (K,) of `layer.region_names`, and the
        share that do (K,). None where no regions came with the vectors.
        """
        of = self.layer.regions
        if of is None:
            return None
        counts = np.zeros((len(self), len(self.layer.region_names)), np.int64)
        for k in range(len(self)):
            counts[k] = np.bincount(of[self.layer.rows_of_layer(self.members(k))], minlength=counts.shape[1])
        return counts.argmax(axis=1), counts.max(axis=1) / np.maximum(counts.sum(axis=1), 1)

    def class_name(self, index: int) -> str:
        labels = self.layer.atlas.labels
        return labels[index] if labels else f"class {index}"

    def examples(self, k: int, n: int = 12) -> list[Image.Image]:
        """Patches of side patch_px, one a photo, the members nearest the mean first. Empty without photos.

        Raises UsageError where there are not so many cells.
        """
        self._require(k)
        return self.layer.patches(self.nearest_rows(k, n)) if self.layer.atlas.has_photos else []

    def column_values(self, column: str, n: int = 3) -> list[list[tuple[str, int]]]:
        """For each cell the n commonest values of a column that came with the images, counted in distinct photos."""
        values = self.layer.atlas.images[column].to_numpy()
        ids = self.layer.places.image_ids
        per_cell = (np.unique(ids[self.members(k)]) for k in range(len(self)))
        return [Counter(values[cell]).most_common(n) for cell in per_cell]

    def picture(
        self, icon_px: int | None = None, *, with_labels: bool = False, by_density: bool = False
    ) -> Image.Image:
        """The map: RGB, side · icon_px pixels an edge, white where no cell is.

        icon_px: pixels an edge of each icon; None takes them as they were painted
        with_labels: the class that a region's cells speak for most, on its middle, where there is room
        by_density: an icon's area goes with its cell's count
        """
        return draw(self, with_labels=with_labels, by_density=by_density, icon_px=icon_px)

    def figure(self, **how: Any) -> Any:
        """A matplotlib figure for a paper, see figures.py: ax, width_in, title, with_labels, with_caption, by_density.

        Raises MissingExtra without matplotlib.
        """
        return self.layer.atlas.figure(self, **how)

    def table(self) -> pd.DataFrame:
        """One row a cell: place, counts, fidelity, cohesion, top classes, commonest values of the images' columns."""
        table = pd.DataFrame(
            {
                "cell": [f"{c},{r}" for c, r in self.coordinates],
                "column": self.coordinates[:, 0], "row": self.coordinates[:, 1],
                "count": self.counts, "images": self.image_counts,
                "cosine": self.cosine, "rank": self.rank, "identified": self.rank == 0,
                "shifted_cosine": self.shifted_cosine, "cohesion": self.cohesion,
                "remarks": ["; ".join(REMARKS[key] for key in cell) for cell in self.remarks],
            }
        )  # fmt: skip
        top = self.top_classes(5)
        if top is not None:
            names = [[self.class_name(i) for i in row] for row in top[0]]
            table["label"] = [row[0] for row in names]
            table["labels"] = ["; ".join(row) for row in names]
        if self.regions is not None:
            table["region"] = [self.layer.region_names[i] for i in self.regions[0]]
        for column in self.layer.atlas.image_columns:
            counted = self.column_values(column)
            table[f"image_{column}"] = ["; ".join(f"{v} × {c}" for v, c in cell) for cell in counted]
        return table

    # --- inside

    def _cells(self, name: str) -> np.ndarray:
        arrays = self._files.read_arrays(self._cells_path, [name])
        if name not in arrays:
            raise UnfinishedAtlas(
                f"{self.layer.atlas.folder} carries no {name} of its cells; an atlas that you build does"
            )
        return arrays[name]

    @property
    def all_members(self) -> tuple[np.ndarray, np.ndarray]:
        """Offsets (K + 1,) into rows (M,) of layer.activations: cell k has those from offset k to k + 1."""
        return self._member_offsets, self._member_rows

    @property
    def _sampled_path(self) -> str:
        return paths.cell_attributions(self.layer.home, self.side)

    @property
    def _is_sampled(self) -> bool:
        return self._files.has(self._sampled_path)

    @cached_property
    def _member_offsets(self) -> np.ndarray:
        return self._cells("member_offsets")

    @cached_property
    def _member_rows(self) -> np.ndarray:
        return self._cells("member_rows")

    def _icon_chunks(self, names: Sequence[str]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        for path in self.icon_paths:
            chunk = self._files.read_arrays(path, (*names, "rows"))
            yield chunk.pop("rows"), chunk

    def _fidelity(self, name: str) -> np.ndarray:
        values = np.full(len(self), np.nan, np.float32)
        for rows, chunk in self._icon_chunks((name,)):
            values[rows] = chunk[name]
        return values

    @cached_property
    def _cells_example_rows(self) -> np.ndarray:
        return self._cells("example_rows")
