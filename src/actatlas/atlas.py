"""The read side of an atlas folder, finished or growing: what pictures, sites, servers and notebooks share. No torch.

docs/format.md describes the folder's files; nothing else knows their names, but for pipeline.py, which writes them.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from actatlas.errors import LayerNotFound, UnfinishedAtlas, UsageError
from actatlas.images import open_source
from actatlas.preprocessing import Preprocessing, patch_box
from actatlas.store import AtlasFolder
from actatlas.values import ActivationSet, ImageSource, LayerInfo, Layout

ICONS_PER_CHUNK = 32


def open(folder: str | Path) -> Atlas:  # noqa: A001  the public name is actatlas.open
    """Open an atlas folder. Raises NotAnAtlas."""
    return Atlas(AtlasFolder.existing(Path(folder).expanduser().resolve()))


def layer_slug(name: str) -> str:
    """A layer's name as a file name: "features.0#2" → "features.0~2"."""
    return name.replace("#", "~").replace("/", "_")


class Atlas:
    """One network, some of its layers, one collection of photos."""

    def __init__(self, files: AtlasFolder):
        self._files = files
        self.plan: dict[str, Any] = files.read_json("plan.json")

    @property
    def folder(self) -> Path:
        return self._files.root

    @property
    def files(self) -> AtlasFolder:
        return self._files

    @property
    def title(self) -> str:
        return self.plan["title"]

    @property
    def origin(self) -> str:
        """Where the network and the photos came from, in a sentence or two."""
        return self.plan["origin"]

    @property
    def is_finished(self) -> bool:
        return self._files.is_finished

    @cached_property
    def labels(self) -> list[str] | None:
        """Class names in the order of the network's logits; None for a network without names."""
        return self._files.read_json("labels.json")

    @property
    def layer_names(self) -> list[str]:
        """In forward order."""
        return [layer["name"] for layer in self.plan["layers"]]

    def layer(self, name: str) -> Layer:
        """Raises LayerNotFound."""
        if name not in self.layer_names:
            raise LayerNotFound(name, str(self.folder), self.layer_names)
        if name not in self._layers:
            self._layers[name] = Layer(self, LayerInfo(**_without_lists(self._layer_plan(name))))
        return self._layers[name]

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row a listed image: id, path, skipped (the reason, or None), and the list's own columns as strings."""
        if not self._files.has("images.csv"):
            return pd.DataFrame({"id": [], "path": [], "skipped": []})
        table = pd.read_csv(
            io.BytesIO(self._files.read_bytes("images.csv")),
            dtype=str, keep_default_na=False, encoding_errors="surrogateescape",
        )  # fmt: skip
        table["id"] = table["id"].astype(np.int64)
        skipped = self.skipped
        table.insert(2, "skipped", pd.Series([skipped.get(i) for i in table["id"]], dtype=object))
        return table

    @property
    def skipped(self) -> dict[int, str]:
        """Reasons by image id, of the shards collected so far."""
        return {int(i): reason for shard in self.shards for i, reason in shard["skipped"].items()}

    @cached_property
    def image_counts(self) -> dict[str, int]:
        """listed = used + skipped."""
        counts = self.plan["images"].get("counts")
        if counts is None:
            listed = self.plan["images"]["listed"]
            counts = {"listed": listed, "used": listed - len(self.skipped), "skipped": len(self.skipped)}
        return counts

    @cached_property
    def shards(self) -> list[dict[str, Any]]:
        """What each collected shard says of itself: activations (rows a layer), skipped {id: reason}."""
        return [self._files.read_json(p) for p in self._files.committed("shards/")]

    @cached_property
    def pilot(self) -> dict[str, Any]:
        return self._files.read_json("pilot.json")

    @cached_property
    def timings(self) -> dict[str, Any]:
        """Measured seconds, over all runs: {"stages": {stage: s}, "icons": {"layer/side": s an icon}}."""
        exists = (self.folder / "timings.json").is_file()
        return self._files.read_json("timings.json") if exists else {"stages": {}, "icons": {}}

    @cached_property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing.from_json(self.plan["network"]["preprocessing"])

    @cached_property
    def source(self) -> ImageSource:
        """The photos, read again from where they were. Raises NoImages if they are gone."""
        if not self._files.has("images.csv"):
            raise UnfinishedAtlas(f"{self.folder} carries no photos; build an atlas of your own to see patches")
        spec = self.plan["images"]["spec"]
        return open_source(list(self.images["path"])) if self.plan["images"]["has_files"] else open_source(spec)

    def _layer_plan(self, name: str) -> dict[str, Any]:
        return next(layer for layer in self.plan["layers"] if layer["name"] == name)

    @cached_property
    def _layers(self) -> dict[str, Layer]:
        return {}


class Layer:
    """One layer of an atlas: its activations, their layout, its grids."""

    def __init__(self, atlas: Atlas, info: LayerInfo):
        self.atlas = atlas
        self.info = info
        self._files = atlas.files
        self._folder = f"layers/{self.slug}"

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def slug(self) -> str:
        return layer_slug(self.name)

    @property
    def activation_count(self) -> int:
        counts = self.atlas.plan["images"].get("activations")
        return counts if counts is not None else sum(shard["activations"] for shard in self.atlas.shards)

    def read_shards(self, attributions: bool = False) -> Iterator[ActivationSet]:
        """The layer's activations a shard at a time, in row order."""
        for index in range(len(self.atlas.shards)):
            names = ("vectors", "attributions") if attributions else ("vectors",)
            arrays = self._files.read_arrays(f"{self._folder}/activations/{index:05d}.safetensors", names)
            yield ActivationSet(**arrays, **self._files.read_arrays(f"places/{index:05d}.safetensors"))

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
        return Layout(self._files.read_arrays(f"{self._folder}/layout.safetensors")["points"]).points

    @cached_property
    def mean(self) -> np.ndarray:
        """(C,) float32, over all N activations."""
        return self._files.read_arrays(f"{self._folder}/statistics.safetensors")["mean"]

    @property
    def attribution_method(self) -> str | None:
        return self.atlas.plan["settings"]["collect"]["attribution"]

    @cached_property
    def attribution_baseline(self) -> np.ndarray:
        """(C,) float32: what mean replacement puts in the activation's place."""
        return self._files.read_arrays("pilot.safetensors")[f"baseline/{self.name}"]

    @property
    def patch_px(self) -> int:
        """Side, in network input pixels, of the part of a photo that an activation answers to."""
        return int(self.atlas.pilot["patch_px"][self.name])

    @property
    def grid_sides(self) -> list[int]:
        prefix = f"{self._folder}/grids/"
        return sorted({int(p[len(prefix) :].split("/")[0]) for p in self._files.committed(prefix)})

    def grid(self, side: int) -> Grid:
        """Raises UsageError naming the grids that there are."""
        if side not in self.grid_sides:
            there = ", ".join(map(str, self.grid_sides)) or "none yet"
            raise UsageError(f"{self.atlas.folder} has no {side} × {side} grid of {self.name}; it has: {there}")
        if side not in self._grids:
            self._grids[side] = Grid(self, side)
        return self._grids[side]

    @cached_property
    def _grids(self) -> dict[int, Grid]:
        return {}

    @cached_property
    def places(self) -> ActivationSet:
        """Image ids, positions and boxes of all rows; vectors are (N, 0)."""
        count = range(len(self.atlas.shards))
        parts = [self._files.read_arrays(f"places/{i:05d}.safetensors") for i in count]
        joined = {name: np.concatenate([p[name] for p in parts]) for name in ("image_ids", "positions", "boxes")}
        return ActivationSet(vectors=np.zeros((len(joined["image_ids"]), 0), np.float16), **joined)


class Grid:
    """The kept cells of one grid: K of them, row-major, row 0 on top. Arrays as values.Cells and values.Icons say."""

    def __init__(self, layer: Layer, side: int):
        self.layer = layer
        self.side = side
        self._files = layer.atlas.files
        self._folder = f"layers/{layer.slug}/grids/{side}"

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
        return self._files.read_arrays(f"{self._folder}/cells.safetensors", ["attributions"]).get("attributions")

    def members(self, k: int) -> np.ndarray:
        """Rows of layer.activations."""
        offsets = self._member_offsets
        return self._member_rows[offsets[k] : offsets[k + 1]]

    # --- icons

    @cached_property
    def icons(self) -> np.ndarray:
        """(K, S, S, 3) uint8, S in network input pixels; grey where not painted yet (`is_painted`)."""
        size = self.layer.atlas.plan["icon_px"]
        pixels = np.full((len(self), size, size, 3), 128, np.uint8)
        for start, chunk in self._icon_chunks(("encoded", "offsets")):
            for i, (a, b) in enumerate(zip(chunk["offsets"][:-1], chunk["offsets"][1:], strict=True)):
                pixels[start + i] = np.asarray(Image.open(io.BytesIO(chunk["encoded"][a:b].tobytes())).convert("RGB"))
        return pixels

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

    @property
    def icon_seconds(self) -> float | None:
        """Measured seconds an icon, everything included; None if nothing was painted on this machine."""
        return self.layer.atlas.timings["icons"].get(f"{self.layer.name}/{self.side}")

    # --- classes and photos

    def top_classes(self, n: int = 5) -> tuple[np.ndarray, np.ndarray] | None:
        """Classes that each cell speaks for most: indices (K, n) int64 and attributions (K, n) float32, or None."""
        if self.attributions is not None:
            order = np.argsort(-self.attributions, axis=1, kind="stable")[:, :n]
            return order, np.take_along_axis(self.attributions, order, axis=1)
        arrays = self._files.read_arrays(f"{self._folder}/cells.safetensors", ["top_classes", "top_attributions"])
        if not arrays:
            return None
        return arrays["top_classes"][:, :n].astype(np.int64), arrays["top_attributions"][:, :n]

    def class_name(self, index: int) -> str:
        labels = self.layer.atlas.labels
        return labels[index] if labels else f"class {index}"

    def examples(self, k: int, n: int = 12) -> list[Image.Image]:
        """Patches of side patch_px, one a photo, the members nearest the mean first. Empty without photos."""
        if not self._has_photos:
            return []
        return self._patches({k: self._nearest_rows(k, n)}, self.layer.patch_px)[k]

    def all_examples(self, n: int, size_px: int) -> Iterator[tuple[int, list[Image.Image]]]:
        """`examples` of every cell, shrunk to at most size_px, each photo decoded once."""
        if not self._has_photos:
            return
        yield from self._patches({k: self._nearest_rows(k, n) for k in range(len(self))}, size_px).items()

    def column_values(self, column: str, n: int = 3) -> list[list[tuple[str, int]]]:
        """For each cell the n commonest values of a column that came with the images, counted in distinct photos."""
        values = self.layer.atlas.images[column].to_numpy()
        ids = self.layer.places.image_ids
        per_cell = (np.unique(ids[self.members(k)]) for k in range(len(self)))
        return [Counter(values[cell]).most_common(n) for cell in per_cell]

    def table(self) -> pd.DataFrame:
        """One row a cell: place, counts, fidelity, cohesion, top classes, commonest values of the images' columns."""
        table = pd.DataFrame(
            {
                "cell": [f"{c},{r}" for c, r in self.coordinates],
                "column": self.coordinates[:, 0], "row": self.coordinates[:, 1],
                "count": self.counts, "images": self.image_counts,
                "cosine": self.cosine, "rank": self.rank, "identified": self.rank == 0,
                "shifted_cosine": self.shifted_cosine, "cohesion": self.cohesion,
            }
        )  # fmt: skip
        top = self.top_classes(5)
        if top is not None:
            names = [[self.class_name(i) for i in row] for row in top[0]]
            table["label"] = [row[0] for row in names]
            table["labels"] = ["; ".join(row) for row in names]
        if self._has_photos:
            for column in self.layer.atlas.plan["images"]["columns"]:
                counted = self.column_values(column)
                table[f"image_{column}"] = ["; ".join(f"{v} × {c}" for v, c in cell) for cell in counted]
        return table

    # --- inside

    def _cells(self, name: str) -> np.ndarray:
        arrays = self._files.read_arrays(f"{self._folder}/cells.safetensors", [name])
        if name not in arrays:
            raise UnfinishedAtlas(
                f"{self.layer.atlas.folder} carries no {name} of its cells; an atlas that you build does"
            )
        return arrays[name]

    @cached_property
    def _member_offsets(self) -> np.ndarray:
        return self._cells("member_offsets")

    @cached_property
    def _member_rows(self) -> np.ndarray:
        return self._cells("member_rows")

    @property
    def _has_photos(self) -> bool:
        return self._files.has("images.csv")

    def _icon_chunks(self, names: Sequence[str]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        for path in self._files.committed(f"{self._folder}/icons/"):
            index = int(Path(path).stem)
            yield index * ICONS_PER_CHUNK, self._files.read_arrays(path, names)

    def _fidelity(self, name: str) -> np.ndarray:
        values = np.full(len(self), np.nan, np.float32)
        for start, chunk in self._icon_chunks((name,)):
            values[start : start + len(chunk[name])] = chunk[name]
        return values

    def _nearest_rows(self, k: int, n: int) -> np.ndarray:
        """Rows of up to n members of different photos, nearest the mean first."""
        stored = self._cells_example_rows[k]
        if n <= len(stored) or stored[-1] < 0:
            return stored[stored >= 0][:n]
        rows = self.members(k)
        vectors = self.layer.activations.vectors[rows].astype(np.float32) - self.layer.mean
        nearness = vectors @ (self.means[k] - self.layer.mean) / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
        ordered = rows[np.argsort(-nearness, kind="stable")]
        _, first = np.unique(self.layer.places.image_ids[ordered], return_index=True)
        return ordered[np.sort(first)][:n]

    @cached_property
    def _cells_example_rows(self) -> np.ndarray:
        return self._cells("example_rows")

    def _patches(self, rows: dict[int, np.ndarray], size_px: int) -> dict[int, list[Image.Image]]:
        """Patches by key, in the order of the rows. Raises UnreadableImage where a photo is gone."""
        places, atlas = self.layer.places, self.layer.atlas
        wanted: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for key, key_rows in rows.items():
            for slot, row in enumerate(key_rows):
                wanted[int(places.image_ids[row])].append((key, slot, int(row)))
        patches: dict[int, list[Any]] = {key: [None] * len(key_rows) for key, key_rows in rows.items()}
        map_size, input_px = self.layer.info.shape[1:], atlas.preprocessing.input_px
        for image_id, uses in sorted(wanted.items()):
            photo = atlas.source.read(image_id)
            crops: dict[tuple[float, ...], Image.Image] = {}
            for key, slot, row in uses:
                box = tuple(places.boxes[row].tolist())
                crop = crops.get(box) or crops.setdefault(box, atlas.preprocessing.crop(photo, box))
                position = tuple(places.positions[row].tolist())
                patch = crop.crop(patch_box(position, self.layer.patch_px, map_size, input_px))
                if patch.width > size_px:
                    patch = patch.resize((size_px, size_px), Image.Resampling.LANCZOS)
                patches[key][slot] = patch.convert("RGB")
        return patches


def _without_lists(layer_plan: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in layer_plan.items()}
