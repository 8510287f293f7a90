"""One layer of an atlas."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from actatlas.atlas.cells import Grid
from actatlas.atlas.patches import cut_patches
from actatlas.bands import shown
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

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.title!r}: grids {', '.join(map(str, self.grid_sides)) or 'none yet'}>"

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

    # --- regions that came with vectors

    @cached_property
    def region_names(self) -> list[str]:
        """Of the parts of the map that a user's own vectors came with; empty for others."""
        path = paths.region_names(self.name)
        return self._files.read_json(path) if self._files.has(path) else []

    @cached_property
    def regions(self) -> np.ndarray | None:
        """(N,) int32, which of `region_names` each activation belongs to; None where nothing was said."""
        path = paths.regions(self.name)
        return self._files.read_arrays(path)["of"] if self._files.has(path) else None

    @property
    def kept_directions(self) -> dict[str, np.ndarray]:
        """(C,) float32 by name, in the names' order: what `WorkingAtlas.keep_direction` was given."""
        path = paths.directions(self.name)
        found = self._files.read_arrays(path) if self._files.has(path) else {}
        return {name: found[name] for name in sorted(found)}

    # --- attributions

    @property
    def attribution_units(self) -> list[str]:
        """Files of what carries attributions, where not all activations do."""
        average = paths.average_attribution(self.name)
        return [path for path in self._files.committed(paths.attribution_units(self.name)) if path != average]

    def read_attributed(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What carries attributions, part by part: its rows (n,), ascending in each, and attributions (n, classes)."""
        for path in self.attribution_units:
            arrays = self._files.read_arrays(path, ["rows", "attributions"])
            yield arrays["rows"], arrays["attributions"]
        if self.attribution_units:
            return
        start = 0
        for index, shard in enumerate(self.atlas.shards):
            arrays = self._files.read_arrays(paths.activations(self.name, index), ["attributions"])
            rows = np.arange(start, start + shard["activations"])
            start += len(rows)
            if arrays:
                yield rows, arrays["attributions"]

    @cached_property
    def attributed_rows(self) -> np.ndarray:
        """(n,) int64, ascending: the activations that carry attributions."""
        if self.attribution_units:
            parts = [self._files.read_arrays(path, ["rows"])["rows"] for path in self.attribution_units]
            return np.sort(np.concatenate(parts))
        return np.arange(self.activation_count if next(self.read_attributed(), None) else 0)

    def carrying(self, rows: np.ndarray) -> np.ndarray:
        """Those of `rows` that carry attributions, in their order."""
        return rows[np.isin(rows, self.attributed_rows)]

    def attributions_of(self, rows: np.ndarray) -> np.ndarray | None:
        """(n, classes) float16 of some rows, ascending; None where one of them carries none."""
        found, count = None, 0
        for part_rows, attributions in self.read_attributed():
            is_wanted = np.isin(part_rows, rows, assume_unique=True)
            if found is None:
                found = np.empty((len(rows), attributions.shape[1]), attributions.dtype)
            found[np.searchsorted(rows, part_rows[is_wanted])] = attributions[is_wanted]
            count += int(is_wanted.sum())
        return found if count == len(rows) else None

    def attributions_over_mean(self, rows: np.ndarray) -> np.ndarray:
        """(n, classes) float32 of some rows, ascending: over the layer's average activation.

        Raises NoAttributions where one of them carries none.
        """
        found = self.attributions_of(rows)
        if found is None:
            raise NoAttributions(self.atlas.folder)
        return found.astype(np.float32) - self.attribution_mean

    @cached_property
    def attributions(self) -> np.ndarray | None:
        """(N, classes) float16 of the single activations, or None. Raises UsageError where only some carry any."""
        parts = list(self.read_attributed())
        if not parts:
            return None
        rows = np.concatenate([rows for rows, _ in parts])
        if len(rows) < self.activation_count:
            raise UsageError(
                f"{self.atlas.folder}: {len(rows):,} of {self.activation_count:,} activations of {self.title} carry "
                "attributions; read_attributed() gives these, with their rows"
            )
        return np.concatenate([attributions for _, attributions in parts])[np.argsort(rows)]

    @cached_property
    def attribution_mean(self) -> np.ndarray:
        """(classes,) float32: what an average activation speaks for, over all N, or over a uniform sample of them.

        Raises NoAttributions.
        """
        return self._average_attribution("attribution_mean")

    @cached_property
    def attribution_mean_error(self) -> np.ndarray | None:
        """(classes,) float32: its standard error; None where it is over all activations."""
        is_sampled = self._files.has(paths.average_attribution(self.name))
        return self._average_attribution("attribution_mean_error") if is_sampled else None

    def _average_attribution(self, name: str) -> np.ndarray:
        of_some = paths.average_attribution(self.name)
        path = of_some if self._files.has(of_some) else paths.statistics(self.name)
        arrays = self._files.read_arrays(path, [name])
        if name not in arrays:
            raise NoAttributions(self.atlas.folder)
        return arrays[name]

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

    # --- activations

    @cached_property
    def activations(self) -> ActivationSet:
        """All activations, without attributions (those are `attributions`)."""
        parts = list(self.read_shards())
        if not parts:
            raise UnfinishedAtlas(f"{self.atlas.folder} carries no activations of {self.name}; build it to have them")
        fields = ("vectors", "image_ids", "positions", "boxes")
        return ActivationSet(**{f: np.concatenate([getattr(p, f) for p in parts]) for f in fields})

    @cached_property
    def layout(self) -> np.ndarray:
        """(N, 2) float32: x, y in [0, 1], y downwards; NaN for what the percentile cut left out."""
        return Layout(self._files.read_arrays(paths.layout(self.home))["points"]).points

    @cached_property
    def mean(self) -> np.ndarray:
        """(C,) float32, over all N activations. Raises UnfinishedAtlas where a published copy does without."""
        found = self._files.read_arrays(paths.statistics(self.name))
        if "mean" not in found:
            raise UnfinishedAtlas(f"{self.atlas.folder} carries no mean of {self.name}; build an atlas of your own")
        return found["mean"]

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

    def figure(self, grid: int | None = None, **how: Any) -> Any:
        """A matplotlib figure of one of its grids, None the finest; `how` as for Grid.figure. Raises UsageError."""
        return self._finest_or(grid).figure(**how)

    def picture(
        self,
        grid: int | None = None,
        icon_px: int | None = None,
        *,
        with_labels: bool = False,
        by_density: bool = False,
    ) -> Image.Image:
        """The map of one of its grids, None the finest, RGB; the rest as for Grid.picture. Raises UsageError.

        Of an atlas of two classes it stands under their names, each at its end.
        """
        return self._framed(self._finest_or(grid).picture(icon_px, with_labels=with_labels, by_density=by_density))

    def _framed(self, plan: Image.Image) -> Image.Image:
        """With what belongs around its map: of a layer nothing."""
        return plan

    def _finest_or(self, side: int | None) -> Grid:
        if not self.grid_sides:
            raise UsageError(f"{self.atlas.folder} has no grid of {self.name} yet")
        return self.grid(self.grid_sides[-1] if side is None else side)

    @property
    def class_keys(self) -> list[str]:
        """Of the atlases of its classes, channels and directions that were made."""
        prefix = paths.class_homes(self.name)
        found = (p[len(prefix) :].split("/") for p in self._files.committed(prefix))
        return sorted(parts[0] for parts in found if parts[1:] == ["chosen.json"])

    def nearest_rows(self, rows: np.ndarray, mean: np.ndarray, n: int) -> np.ndarray:
        """Of some rows of `activations` up to n of different photos, nearest the mean (C,) first, by centred cosine."""
        vectors = self.activations.vectors[rows].astype(np.float32) - self.mean
        nearness = vectors @ (mean - self.mean) / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
        ordered = rows[np.argsort(-nearness, kind="stable")]
        _, first = np.unique(self.places.image_ids[ordered], return_index=True)
        return ordered[np.sort(first)][:n]

    def patches(self, rows: np.ndarray) -> list[Image.Image]:
        """Of some rows of `activations`: RGB, of side patch_px. Raises ImageError where photos are gone."""
        cut: dict[int, Image.Image] = {}
        for slot, (patch,) in cut_patches(self.atlas, self.rows_of_layer(rows), [self], [self.patch_px]):
            cut[slot] = shown(patch).convert("RGB")
        return [cut[slot] for slot in range(len(rows))]

    def rows_of_layer(self, rows: np.ndarray) -> np.ndarray:
        """Rows of this set of activations → rows of all that the layer has."""
        return rows

    @cached_property
    def _grids(self) -> dict[int, Grid]:
        return {}

    @cached_property
    def places(self) -> ActivationSet:
        """Image ids, positions and boxes of all rows, vectors (N, 0). Raises UnfinishedAtlas where there are none."""
        parts = [self._files.read_arrays(paths.places(i)) for i in range(len(self.atlas.shards))]
        if not parts:
            raise UnfinishedAtlas(f"{self.atlas.folder} carries no places of its activations; build it to have them")
        joined = {name: np.concatenate([p[name] for p in parts]) for name in ("image_ids", "positions", "boxes")}
        return ActivationSet(vectors=np.zeros((len(joined["image_ids"]), 0), np.float16), **joined)
