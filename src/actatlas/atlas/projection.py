"""A second set of photos on an atlas: read from where it was kept."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from actatlas.atlas.tables import read_images
from actatlas.errors import LayerNotFound, UsageError
from actatlas.store import paths

if TYPE_CHECKING:
    from actatlas.atlas.cells import Grid
    from actatlas.atlas.reader import Atlas

STATES = ("unreached", "fewer", "alike", "more")


class Projection:
    """What a second set of photos reaches of an atlas's maps, and what the atlas has nothing like.

    facts: as docs/schema/projection.json has them: which photos, and for each layer what was found
    """

    def __init__(self, atlas: Atlas, key: str):
        self.atlas = atlas
        self.key = key
        self.facts: dict[str, Any] = atlas.files.read_json(paths.projection_facts(key))

    def __repr__(self) -> str:
        return f"<Projection {self.name!r}: {self.facts['photos']['used']:,} photos on {', '.join(self.layer_names)}>"

    @property
    def name(self) -> str:
        return self.facts["name"]

    @property
    def layer_names(self) -> list[str]:
        return list(self.facts["layers"])

    @property
    def folder(self) -> Path:
        return self.atlas.folder / paths.projection(self.key)

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row a listed photo of the second set: id, path, skipped, and the list's own columns."""
        return read_images(self.atlas.files, paths.projection_images(self.key))

    def of_layer(self, layer: str) -> dict[str, Any]:
        """The facts of one layer. Raises LayerNotFound where the photos were not placed on it."""
        if layer not in self.facts["layers"]:
            raise LayerNotFound(layer, f"{self.folder}", self.layer_names, of_atlas=True)
        return self.facts["layers"][layer]

    def points(self, layer: str) -> dict[str, np.ndarray]:
        """points (N, 2) float32 in [0, 1], distances (N,) float32 to the nearest activation of the atlas, and image_ids
        (N,), positions (N, 2), boxes (N, 4) as `values.ActivationSet` has them: of the new activations.
        """
        self.of_layer(layer)
        return self.atlas.files.read_arrays(paths.projected(self.key, layer))

    def cells(self, grid: Grid) -> dict[str, np.ndarray]:
        """Of a grid's K cells, in its order: counts, photos and far (K,) int64; where the grid has enough activations a
        cell to say, reach (K,) float32, p (K,) float32, asked (K,) int64 and state (K,) int8, an index of `STATES`.
        """
        self.of_layer(grid.layer.name)
        path = paths.projected_cells(self.key, grid.layer.name, grid.side)
        if not self.atlas.files.has(path):
            raise UsageError(
                f"{self.folder} knows no {grid.side} × {grid.side} grid of {grid.layer.name}: it was added later; "
                "project the photos again"
            )
        return self.atlas.files.read_arrays(path)

    def table(self, grid: Grid) -> pd.DataFrame:
        """The grid's cells with what they have of the second set; the most different first."""
        found, table = self.cells(grid), grid.table()
        table["new_count"], table["new_photos"], table["far"] = found["counts"], found["photos"], found["far"]
        if "reach" in found:
            table["reach"], table["p"] = found["reach"], found["p"]
            table["state"] = [STATES[i] for i in found["state"]]
            table = table.iloc[np.lexsort([-np.abs(np.log(np.maximum(found["reach"], 1e-3))), found["p"]])]
        return table.reset_index(drop=True)

    def told(self, grid: Grid) -> list[str]:
        """What was found on a layer, in a few sentences; of its cells by this grid."""
        facts = self.of_layer(grid.layer.name)
        cells = facts["grids"].get(str(grid.side), {"reach": None})
        lines = [
            f"{facts['activations']:,} activations of {self.facts['photos']['used']:,} photos, beside "
            f"{facts['compared_with']['activations']:,} of {facts['compared_with']['photos']:,} of the atlas's own.",
            _told_far(facts["far"]),
        ]
        reach = cells["reach"]
        if reach is None:
            told = f"The {grid.side} × {grid.side} grid has too few activations a cell to say which ones are reached."
            return [*lines, told]
        for state, what in (("unreached", "hardly reached"), ("fewer", "reached less"), ("more", "reached more")):
            if count := len(reach[state]):
                names = ", ".join(_names(reach[state]))
                share = f"{reach['shares'][state]:.0%} of the map"
                lines.append(f"{count} cell{'s' * (count > 1)} {what}, {share}{': ' * bool(names)}{names}.")
        if not any(reach[state] for state in ("unreached", "fewer", "more")):
            lines.append("In no cell do both differ beyond chance.")
        return lines

    def patch(self, layer: str, kind: str, number: int) -> Image.Image | None:
        """A real patch of the new photos; kind "far" or "more", as the facts list them."""
        path = paths.projection_patch(self.key, layer, kind, number)
        if not self.atlas.files.has(path):
            return None
        return Image.open(io.BytesIO(self.atlas.files.read_bytes(path))).convert("RGB")


def _told_far(far: dict[str, Any]) -> str:
    low, high = far["interval"]
    told = f"{far['share']:.1%} of the activations ({low:.1%} to {high:.1%}) lie farther from all of the atlas than"
    usual = f"{told} {1 - far['own_share']:.0%} of its own do from its other photos"
    return f"{usual}: no more than chance." if low <= far["own_share"] else f"{usual}."


def _names(cells: Sequence[dict[str, Any]], most: int = 5) -> list[str]:
    """What most of them speak for, each once."""
    labels = [" ".join(cell["label"].split()) for cell in cells if cell["label"]]
    return list(dict.fromkeys(labels))[:most]
