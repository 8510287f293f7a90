"""One layer of an atlas."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from actatlas.atlas.cells import Grid
from actatlas.errors import NoAttributions, UnfinishedAtlas, UsageError
from actatlas.store import paths
from actatlas.values import ActivationSet, LayerInfo, Layout

if TYPE_CHECKING:
    from actatlas.atlas.reader import Atlas


class Layer:
    """One layer of an atlas: its activations, their layout, its grids."""

    def __init__(self, atlas: Atlas, info: LayerInfo):
        self.atlas = atlas
        self.info = info
        self._files = atlas.files

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def slug(self) -> str:
        return paths.layer_slug(self.name)

    @property
    def title(self) -> str:
        """What people read: its name, or of what class it is."""
        return self.name

    @property
    def home(self) -> str:
        """Where its layout and grids lie in the atlas folder."""
        return paths.home(self.name)

    @property
    def activation_count(self) -> int:
        counts = self.atlas.plan["images"].get("activations")
        return counts if counts is not None else sum(shard["activations"] for shard in self.atlas.shards)

    def read_shards(self, attributions: bool = False) -> Iterator[ActivationSet]:
        """The layer's activations a shard at a time, in row order."""
        for index in range(len(self.atlas.shards)):
            names = ("vectors", "attributions") if attributions else ("vectors",)
            arrays = self._files.read_arrays(paths.activations(self.name, index), names)
            yield ActivationSet(**arrays, **self._files.read_arrays(paths.places(index)))

    def read_rows(self, rows: np.ndarray, attributions: bool = False) -> Iterator[ActivationSet]:
        """Some rows (n,), ascending, by the layer's shards: as many parts, those that hold none of them empty."""
        start = 0
        for part in self.read_shards(attributions):
            yield part.taken(rows[(rows >= start) & (rows < start + len(part))] - start)
            start += len(part)

    def attributions_over_mean(self, rows: np.ndarray) -> np.ndarray:
        """(n, classes) float32 of some rows, ascending: over the layer's average activation. Raises NoAttributions."""
        parts = [part.attributions for part in self.read_rows(rows, attributions=True)]
        found = [part.astype(np.float32) for part in parts if part is not None]
        if not found:
            raise NoAttributions(self.atlas.folder)
        return np.concatenate(found) - self.attribution_mean

    @cached_property
    def activations(self) -> ActivationSet:
        """All activations, without attributions (those are `attributions`)."""
        parts = list(self.read_shards())
        if not parts:
            raise UnfinishedAtlas(f"{self.atlas.folder} carries no activations of {self.name}; build it to have them")
        fields = ("vectors", "image_ids", "positions", "boxes")
        return ActivationSet(**{f: np.concatenate([getattr(p, f) for p in parts]) for f in fields})

    @cached_property
    def attributions(self) -> np.ndarray | None:
        """(N, classes) float16 of the single activations, or None."""
        parts = [part.attributions for part in self.read_shards(attributions=True)]
        return np.concatenate(parts) if parts and parts[0] is not None else None  # type: ignore[arg-type]

    @cached_property
    def layout(self) -> np.ndarray:
        """(N, 2) float32: x, y in [0, 1], y downwards; NaN for what the percentile cut left out."""
        return Layout(self._files.read_arrays(paths.layout(self.home))["points"]).points

    @cached_property
    def mean(self) -> np.ndarray:
        """(C,) float32, over all N activations."""
        return self._files.read_arrays(paths.statistics(self.name))["mean"]

    @cached_property
    def attribution_mean(self) -> np.ndarray:
        """(classes,) float32, over all N activations: what an average one speaks for."""
        return self._files.read_arrays(paths.statistics(self.name))["attribution_mean"]

    @property
    def attribution_method(self) -> str | None:
        return self.atlas.plan["settings"]["collect"]["attribution"]

    @cached_property
    def attribution_baseline(self) -> np.ndarray:
        """(C,) float32: what mean replacement puts in the activation's place."""
        return self._files.read_arrays("pilot.safetensors")[f"baseline/{self.name}"]

    @property
    def attribution_window(self) -> int:
        """Side, in positions of the map, of what patch replacement replaces; 1 for the other methods."""
        return int(self.atlas.pilot["windows"][self.name]) if self.attribution_method == "patch-replacement" else 1

    @property
    def patch_px(self) -> int:
        """Side, in network input pixels, of the part of a photo that an activation answers to."""
        return int(self.atlas.pilot["patch_px"][self.name])

    @property
    def icon_px(self) -> int:
        """Side of the layer's icons, in network input pixels."""
        return int(self.atlas.plan["icon_px"][self.name])

    @property
    def grid_sides(self) -> list[int]:
        prefix = paths.grids(self.home)
        return sorted({int(p[len(prefix) :].split("/")[0]) for p in self._files.committed(prefix)})

    def grid(self, side: int) -> Grid:
        """Raises UsageError naming the grids that there are."""
        if side not in self.grid_sides:
            there = ", ".join(map(str, self.grid_sides)) or "none yet"
            raise UsageError(f"{self.atlas.folder} has no {side} × {side} grid of {self.name}; it has: {there}")
        if side not in self._grids:
            self._grids[side] = Grid(self, side)
        return self._grids[side]

    @property
    def class_keys(self) -> list[str]:
        """Of the atlases of its classes, channels and directions that were made."""
        prefix = paths.class_homes(self.name)
        found = (p[len(prefix) :].split("/") for p in self._files.committed(prefix))
        return sorted(parts[0] for parts in found if parts[1:] == ["chosen.json"])

    def rows_of_layer(self, rows: np.ndarray) -> np.ndarray:
        """Rows of this set of activations → rows of all that the layer has."""
        return rows

    @cached_property
    def _grids(self) -> dict[int, Grid]:
        return {}

    @cached_property
    def places(self) -> ActivationSet:
        """Image ids, positions and boxes of all rows; vectors are (N, 0)."""
        count = range(len(self.atlas.shards))
        parts = [self._files.read_arrays(paths.places(i)) for i in count]
        joined = {name: np.concatenate([p[name] for p in parts]) for name in ("image_ids", "positions", "boxes")}
        return ActivationSet(vectors=np.zeros((len(joined["image_ids"]), 0), np.float16), **joined)
