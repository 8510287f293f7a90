"""An atlas folder as a whole: its network, layers, photos and labels."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from actatlas.atlas.class_atlas import ClassAtlas
from actatlas.atlas.found import found_confusions, found_traces
from actatlas.atlas.layer import Layer
from actatlas.atlas.names import ClassNames
from actatlas.atlas.projection import Projection
from actatlas.atlas.tables import read_images
from actatlas.errors import LayerNotFound, NetworkError, PlanChanged, UnfinishedAtlas, UsageError
from actatlas.images import open_source
from actatlas.picture import in_rows, under_a_line
from actatlas.preprocessing import Preprocessing
from actatlas.store import AtlasFolder, paths
from actatlas.values import Collection, Icons, ImageSource, LayerInfo


def open(folder: str | Path) -> Atlas:  # noqa: A001  the public name is actatlas.open
    """Open an atlas folder. Raises NotAnAtlas."""
    return Atlas(AtlasFolder.existing(Path(folder).expanduser().resolve()))


class Atlas:
    """One network, some of its layers, one collection of photos."""

    def __init__(self, files: AtlasFolder):
        self._files = files
        self.plan: dict[str, Any] = files.read_json("plan.json")

    def __repr__(self) -> str:
        growing = "" if self.is_finished else ", not finished"
        return f"<{type(self).__name__} {str(self.folder)!r}: layers {', '.join(self.layer_names)}{growing}>"

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
    def shows_photos(self) -> bool:
        """Whether its cells' pictures are photos, and no icons: of vectors without their network, or as asked."""
        return any(self.plan.get(of, {}).get("pictures") == "photos" for of in ("vectors", "compared"))

    @property
    def compared(self) -> list[dict[str, Any]]:
        """Of a comparison its two sides: atlas, layer, network, weights_sha256. Empty of others."""
        sides: list[dict[str, Any]] = self.plan.get("compared", {}).get("sides", [])
        return sides

    @cached_property
    def comparison(self) -> dict[str, Any] | None:
        """What a comparison says of its cells and its counts (docs/schema/comparison.json). None of others."""
        return self._files.read_json(paths.COMPARISON) if self.compared else None

    def require_weights(self, spec: str, weights_sha256: str) -> None:
        """Raises PlanChanged where these are not the weights of the atlas's network."""
        if weights_sha256 != self.plan["network"]["weights_sha256"]:
            raise PlanChanged(f"{spec} has other weights than the network of {self.folder}; give that one")

    def require_activations(self, then: str) -> None:
        """Raises UnfinishedAtlas where it is not finished, or carries none; then: what the caller was asked for."""
        if not self.is_finished or not self.shards:
            told = "carries no activations" if self.is_finished else "is not finished"
            raise UnfinishedAtlas(f"{self.folder} {told}; build it, and then {then}")

    @property
    def is_finished(self) -> bool:
        return self._files.is_finished

    @cached_property
    def labels(self) -> list[str] | None:
        """Class names in the order of the network's logits; None for a network without names."""
        return self._files.read_json("labels.json")

    @cached_property
    def class_names(self) -> ClassNames:
        """Raises NetworkError for a network without logits."""
        count = self.plan["network"]["class_count"]
        if count is None:
            raise NetworkError(
                f"the network of {self.folder} has no classes; its cells, icons, channels and directions work without, "
                "or load it with outputs=, a function to (B, K) that stands in for logits"
            )
        others = self._files.read_json("synonyms.json") if self._files.has("synonyms.json") else ()
        return ClassNames.of(self.labels, count, others)

    @property
    def layer_names(self) -> list[str]:
        """In forward order."""
        return [layer["name"] for layer in self.plan["layers"]]

    def layer(self, name: str) -> Layer:
        """Raises LayerNotFound."""
        if name not in self.layer_names:
            raise LayerNotFound(name, str(self.folder), self.layer_names, of_atlas=True)
        if name not in self._layers:
            self._layers[name] = Layer(self, LayerInfo(**_without_lists(self._layer_plan(name))))
        return self._layers[name]

    @cached_property
    def collections(self) -> list[Collection]:
        """In the order in which they were asked for: the first alone, unless layers or photos were added later."""
        return collections_of(self.plan)

    @property
    def lot_starts(self) -> list[int]:
        """The first id of the photos that it was begun with, and of each lot that was added."""
        return sorted({collection.first for collection in self.collections})

    @property
    def layer_groups(self) -> list[list[str]]:
        """Layers that came together, each group in forward order: later ones are laid out beside those before them."""
        groups, seen = [], set[str]()
        for collection in self.collections:
            if group := [name for name in collection.layers if name not in seen]:
                groups.append(group)
                seen.update(group)
        return groups

    @property
    def class_atlases(self) -> list[ClassAtlas]:
        """The atlases of classes, channels and directions that were made, by layer."""
        return [ClassAtlas(self.layer(name), key) for name in self.layer_names for key in self.layer(name).class_keys]

    @property
    def projections(self) -> list[Projection]:
        """The second sets of photos that were placed on it, by name."""
        prefix = paths.projections()
        found = (path[len(prefix) :].split("/") for path in self._files.committed(prefix))
        return [Projection(self, parts[0]) for parts in found if parts[1:] == ["projection.json"]]

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row a listed image: id, path, skipped (the reason, or None), and the list's own columns as strings."""
        if not self.has_photos:
            return pd.DataFrame({"id": [], "path": [], "skipped": []})
        table = read_images(self._files, "images.csv")
        if len(table) < self.plan["images"]["listed"]:
            raise self._files.damaged("images.csv")
        skipped = self.skipped
        table.insert(2, "skipped", pd.Series([skipped.get(i) for i in table["id"]], dtype=object))
        return table

    @property
    def image_columns(self) -> list[str]:
        """Names of the columns that came with the images, such as label."""
        return self.plan["images"]["columns"] if self.has_photos else []

    @property
    def skipped(self) -> dict[int, str]:
        """Reasons by image id, of the shards collected so far."""
        return {int(i): reason for shard in self.shards for i, reason in shard["skipped"].items()}

    @cached_property
    def image_counts(self) -> dict[str, int]:
        """listed = used + skipped."""
        counts: dict[str, int] | None = self.plan["images"].get("counts")
        if counts is None:
            listed = self.plan["images"]["listed"]
            counts = {"listed": listed, "used": listed - len(self.skipped), "skipped": len(self.skipped)}
        return counts

    @cached_property
    def shards(self) -> list[dict[str, Any]]:
        """What each collected shard says of itself: activations (rows a layer), skipped {id: reason}."""
        return [self._files.read_json(p) for p in self._files.committed("shards/")]

    @cached_property
    def top_classes(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Of each crop, or photo, its image id (M,) int64 and its up to five strongest classes (M, ≤ 5), best first.

        None for a network without logits.
        """
        parts = [self._files.read_arrays(p) for p in self._files.committed("predictions/")]
        if not parts:
            return None
        ids, classes = (np.concatenate([p[name] for p in parts]) for name in ("crop_image_ids", "classes"))
        return ids, classes.astype(np.int64)

    @property
    def predicted_classes(self) -> pd.DataFrame | None:
        """The strongest class of each crop, or photo: image_id, class. None for a network without logits."""
        if self.top_classes is None:
            return None
        ids, classes = self.top_classes
        return pd.DataFrame({"image_id": ids, "class": classes[:, 0]})

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

    @property
    def has_photos(self) -> bool:
        """Whether it knows the photos that it was made of; the shipped atlas does not."""
        return self._files.was("images.csv") is not None

    @cached_property
    def source(self) -> ImageSource:
        """The photos, read again from where they were. Raises NoImages if they are gone."""
        if not self.has_photos:
            raise UnfinishedAtlas(f"{self.folder} carries no photos; build an atlas of your own to see patches")
        spec = self.plan["images"]["spec"]
        return open_source(list(self.images["path"])) if self.plan["images"]["has_files"] else open_source(spec)

    def paint(self, *_what: Any, **_how: Any) -> Icons:
        """Icons of any directions: the atlas that actatlas.open gives can paint them (working.py)."""
        raise UsageError(f"{self.folder}: open it by actatlas.open to paint icons")

    def picture(self, grid: int | None = None, px: int = 480, columns: int = 2) -> Image.Image:
        """The maps of all layers, in forward order, each under its name: RGB.

        grid: side of the grids, None each layer's coarsest; px: pixels an edge of each map; columns: maps in a row
        Raises UsageError where a layer has no such grid, or none yet.
        """
        maps = []
        for name in self.layer_names:
            layer = self.layer(name)
            side = layer.grid_sides[0] if grid is None and layer.grid_sides else grid
            plan = layer.picture(side, icon_px=-(-px // (side or 1)))
            maps.append(under_a_line(plan.resize((px, px), Image.Resampling.LANCZOS), name))
        return in_rows(maps, columns)

    def found_traces(self) -> pd.DataFrame:
        """What `trace` found and kept: which earlier cells a late one is made of. One row an earlier cell.

        Columns: layer, grid, cell (the late one), made_of_layer, made_of (an earlier cell), contribution (its share of
        the late cell's answer), photos (that pass through both), lost (the share of the late cell's answer that goes
        where all that are named of that earlier layer are taken away) and lost_random (as many others). Empty where
        nothing was traced.
        """
        return found_traces(self)

    def found_confusions(self) -> pd.DataFrame:
        """What `confusions` found and kept: patches that the network takes for what they are not, the best first.

        Columns: layer, grid, cell, concept (what the patch is of), target (the class it is taken for), turned (the
        share of the photos that it turns into the target; NaN where it was not tested), low and high (the 95% interval
        of that), photos (it was tested on), noise, grey and other_patch (the share that each control turns), told (all
        in one line). Empty where nothing was looked for.
        """
        return found_confusions(self)

    def figure(self, *_what: Any, **_how: Any) -> Any:
        """A matplotlib figure of a grid: the atlas that actatlas.open gives can draw one (working.py)."""
        raise UsageError(f"{self.folder}: open it by actatlas.open to draw figures")

    def _layer_plan(self, name: str) -> dict[str, Any]:
        return next(layer for layer in self.plan["layers"] if layer["name"] == name)

    @cached_property
    def _layers(self) -> dict[str, Layer]:
        return {}


def collections_of(plan: dict[str, Any]) -> list[Collection]:
    """What a plan's atlas is collected by, in order."""
    told = plan.get("collections")
    if told is None:
        layers = tuple(layer["name"] for layer in plan["layers"])
        return [Collection(layers, 0, plan["images"]["listed"])]
    return [Collection(tuple(each["layers"]), each["first"], each["last"]) for each in told]


def _without_lists(layer_plan: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in layer_plan.items()}
