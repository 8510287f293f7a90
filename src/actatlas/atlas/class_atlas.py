"""An atlas of some of a layer's activations: those that speak for one class, or point one way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from actatlas.atlas.layer import Layer
from actatlas.picture import under_a_line
from actatlas.store import paths
from actatlas.values import ActivationSet


class ClassAtlas(Layer):
    """Has what a Layer has, of its own activations, and one grid.

    layer: the layer that the activations were chosen from
    facts: what they were chosen by, how many there are, of how many photos, and the share of all that speaks for it
    """

    def __init__(self, layer: Layer, key: str):
        super().__init__(layer.atlas, layer.info)
        self.layer = layer
        self.key = key
        self.facts: dict[str, Any] = self._files.read_json(paths.chosen(self.home) + ".json")

    @property
    def home(self) -> str:
        return paths.class_home(self.layer.name, self.key)

    @property
    def slug(self) -> str:
        return f"{self.layer.slug}~{self.key}"

    @property
    def title(self) -> str:
        """What it is an atlas of, and in which layer."""
        return f"{self.subject} · {self.layer.name}"

    @property
    def subject(self) -> str:
        """What it is an atlas of, such as the class's name."""
        return self.facts["title"]

    @property
    def ends(self) -> tuple[int, int] | None:
        """Of two classes beside one another: the one at the left of the map and the one at its right; else None."""
        found = re.fullmatch(r"class-(\d+)-versus-(\d+)", self.key)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def coverage(self) -> float:
        """Of all that the layer's activations speak for it (positive scores, added up), the share that was chosen.

        Of those activations alone that have a score: see `scored_count`.
        """
        return float(self.facts["coverage"])

    @property
    def scored_count(self) -> int:
        """Activations of the layer that it was chosen from: all, or those that carry attributions."""
        return int(self.facts.get("scored", self.layer.activation_count))

    @property
    def image_count(self) -> int:
        """Distinct photos."""
        return int(self.facts["images"])

    @property
    def labelled_count(self) -> int | None:
        """Of these photos, how many a column `label` says are of the class; None without such a column, or class."""
        images = self.atlas.images
        if "class" not in self.facts or "label" not in images.columns:
            return None
        ids = np.unique(self.places.image_ids)
        labels = images.set_index("id")["label"].reindex(ids)
        return sum(self.atlas.class_names.means(label, self.facts["class"]) for label in labels.astype(str))

    @property
    def folder(self) -> Path:
        return self.atlas.folder / self.home

    @property
    def side(self) -> int:
        return self.grid_sides[0]

    @cached_property
    def rows(self) -> np.ndarray:
        """(n,) int64 rows of `layer.activations`, ascending."""
        return self._files.read_arrays(paths.chosen(self.home) + ".safetensors")["rows"]

    @cached_property
    def scores(self) -> np.ndarray:
        """(n,) float32: what each was chosen by, such as its attribution to the class."""
        return self._files.read_arrays(paths.chosen(self.home) + ".safetensors")["scores"]

    @property
    def activation_count(self) -> int:
        return int(self.facts["activations"])

    def table(self) -> pd.DataFrame:
        """One row a cell, as Grid.table has them, with `score`; those whose score is farthest from 0 first.

        score: the mean, over the cell's activations, of what they were chosen by: of a class its attribution in logits;
        of two classes the attribution to the right one less that to the left; of a channel its answer
        """
        grid = self.grid(self.side)
        table = grid.table()
        table.insert(3, "score", [float(self.scores[grid.members(k)].mean()) for k in range(len(grid))])
        order = np.argsort(-table["score"].abs().to_numpy(), kind="stable")
        return table.iloc[order].reset_index(drop=True)

    def _framed(self, plan: Image.Image) -> Image.Image:
        """Of two classes: under their names, each at its end."""
        if not self.ends:
            return plan
        first, _, second = self.subject.partition(" versus ")
        return under_a_line(plan, first, second)

    def read_shards(self, attributions: bool = False) -> Iterator[ActivationSet]:
        """The chosen activations, in row order, by the layer's shards."""
        return self.layer.read_rows(self.rows, attributions)

    def read_attributed(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows, attributions in self.layer.read_attributed():
            is_chosen = np.isin(rows, self.rows, assume_unique=True)
            yield np.searchsorted(self.rows, rows[is_chosen]), attributions[is_chosen]

    @cached_property
    def attributed_rows(self) -> np.ndarray:
        return np.flatnonzero(np.isin(self.rows, self.layer.attributed_rows))

    @cached_property
    def places(self) -> ActivationSet:
        return self.layer.places.taken(self.rows)

    def rows_of_layer(self, rows: np.ndarray) -> np.ndarray:
        return self.rows[rows]
