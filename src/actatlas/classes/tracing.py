"""Which earlier cells a late cell is made of: one backward pass of its direction, and the proof by taking them away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from actatlas.atlas import Grid
from actatlas.atlas.found import trace_table
from actatlas.classes.trace_picture import draw_trace
from actatlas.collect import map_index, to_pixels
from actatlas.errors import NoAttributions, UsageError
from actatlas.store import AtlasFolder, paths, writing
from actatlas.store.pictures import png

if TYPE_CHECKING:
    from actatlas.networks import Network

_PHOTOS = 12  # of a cell, the members nearest its mean, one a photo
_NAMED = 4  # contributors of a layer
_RANDOM_DRAWS = 4


@dataclass(frozen=True)
class Contributor:
    """An earlier cell. k: its index in the grid; contribution: its share of the late cell's answer, first order;
    positions: of the photos' maps that are nearest to it; photos: that pass through both cells."""

    k: int
    contribution: float
    positions: int
    photos: int


@dataclass(frozen=True)
class Origins:
    """Of one earlier layer. lost_named: the share of the late cell's answer that is lost where the activations of the
    contributors become the layer's mean; lost_random: the same for as many other cells of these photos."""

    grid: Grid
    contributors: tuple[Contributor, ...]
    lost_named: float
    lost_random: float

    def to_json(self) -> dict[str, Any]:
        return {
            "layer": self.grid.layer.name, "grid": self.grid.side,
            "lost_named": round(self.lost_named, 4), "lost_random": round(self.lost_random, 4),
            "contributors": [
                {
                    "cell": _place(self.grid, c.k), "contribution": round(c.contribution, 4),
                    "positions": c.positions, "photos": c.photos,
                }
                for c in self.contributors
            ],
        }  # fmt: skip


@dataclass(frozen=True)
class Trace:
    """What a late cell is made of, by earlier layer.

    grid, k: the late cell; origins: of each earlier layer, first to last; answer: mean over the photos used
    title: what it was traced for, such as a class
    """

    grid: Grid
    k: int
    photo_count: int
    answer: float
    origins: tuple[Origins, ...]
    title: str = ""

    def table(self) -> pd.DataFrame:
        """One row an earlier cell, columns as Atlas.found_traces has them."""
        return trace_table([self.to_json()])

    def picture(self) -> Image.Image:
        """A column of icons a layer, from early to late, RGB; a line is as thick as what its cell contributes."""
        return draw_trace(self, self.title or f"{self.grid.layer.name}, {_place(self.grid, self.k)}")

    def _repr_png_(self) -> bytes:
        return png(self.picture())

    def to_json(self) -> dict[str, Any]:
        """Cells as COLUMN,ROW; contributions and losses as shares of the late cell's answer."""
        return {
            "layer": self.grid.layer.name, "grid": self.grid.side, "cell": _place(self.grid, self.k),
            "photos": self.photo_count, "answer": round(self.answer, 4),
            "origins": [origins.to_json() for origins in self.origins],
        }  # fmt: skip

    def keep(self) -> None:
        """Write it into the atlas's folder, where the page finds it. Raises Locked."""
        atlas, (column, row) = self.grid.layer.atlas, self.grid.coordinates[self.k].tolist()
        with writing(atlas.folder):
            files = AtlasFolder.existing(atlas.folder)
            with files.reopened():
                files.write_json(paths.trace(self.grid.layer.name, self.grid.side, column, row), self.to_json())


def _place(grid: Grid, k: int) -> str:
    return ",".join(map(str, grid.coordinates[k].tolist()))


def strongest_cell(grid: Grid, index: int) -> int:
    """The cell that speaks most for a class. Raises NoAttributions."""
    if grid.attributions is None or not len(grid):
        raise NoAttributions(grid.layer.atlas.folder)
    return int(grid.attributions[:, index].argmax())


def trace_cell(network: Network, grid: Grid, k: int, earlier: Sequence[Grid], seed: int = 0, title: str = "") -> Trace:
    """Which cells of `earlier` grids, of layers before this one, a cell is made of.

    The cell's answer to a photo is its activation's part along the cell's mean, both less the layer's. Its gradient
    times (activation − layer's mean) at every position of an earlier layer, added up over the positions whose
    activation is nearest to a cell's mean by cosine, is that cell's contribution.

    Raises UsageError where a layer is not earlier, PlanChanged for a network with other weights.
    """
    atlas, names = grid.layer.atlas, grid.layer.atlas.layer_names
    atlas.require_weights(network.spec, network.weights_sha256)
    for other in earlier:
        if names.index(other.layer.name) >= names.index(grid.layer.name):
            raise UsageError(f"{other.layer.name} is not before {grid.layer.name}; trace to earlier layers")
    scene = _Scene(network, grid, k)
    answer, slopes = scene.slopes([other.layer.name for other in earlier])
    random = np.random.default_rng(seed)
    origins = (_origins(scene, other, *slopes[other.layer.name], answer, random) for other in earlier)
    return Trace(grid, k, len(scene.rows), answer, tuple(origins), title)


class _Scene:
    """The late cell's photos, ready to be run."""

    def __init__(self, network: Network, grid: Grid, k: int):
        self.network, self.grid, self.k = network, grid, k
        layer, places = grid.layer, grid.layer.places
        self.rows = grid.nearest_rows(k, _PHOTOS)
        crops = []
        for row in self.rows:
            photo = layer.atlas.source.read(int(places.image_ids[row]))
            crop = np.asarray(layer.atlas.preprocessing.crop(photo, tuple(places.boxes[row].tolist())))
            crops.append(crop.reshape(*crop.shape[:2], -1))
        self.inputs = network.normalize(to_pixels(np.stack(crops)))
        self._positions = places.positions[self.rows]
        direction = torch.from_numpy(grid.means[k] - layer.mean)
        self._direction = direction / direction.norm().clamp(min=1e-12)
        self._mean = torch.from_numpy(layer.mean)

    def answers(self, maps: Tensor) -> Tensor:
        """(B,) of the late layer's maps (B, C, H, W)."""
        place = map_index(self._positions, (maps.shape[2], maps.shape[3]))
        found = maps[np.arange(len(maps)), :, place[:, 0], place[:, 1]]
        return (found - self._mean.to(maps)) @ self._direction.to(maps)

    def slopes(self, layers: Sequence[str]) -> tuple[float, dict[str, tuple[Tensor, Tensor]]]:
        """The mean answer, and for each earlier layer its maps (B, C, H, W) and the answers' gradient there."""
        late = self.grid.layer.name
        with torch.enable_grad():
            maps = self.network.activations(self.inputs.detach().requires_grad_(), [*layers, late])
            answers = self.answers(maps[late])
            found = torch.autograd.grad(answers.sum(), [maps[name] for name in layers]) if layers else ()
        slopes = {name: (maps[name].detach(), slope) for name, slope in zip(layers, found, strict=True)}
        return float(answers.detach().mean()), slopes

    def answer_without(self, layer: str, silenced: Tensor, mean: Tensor) -> float:
        """silenced: (B, 1, H, W) bool, positions of an earlier layer that become its mean."""
        late = self.grid.layer.name

        def change(maps: Tensor) -> Tensor:
            return torch.where(silenced.to(maps.device), mean.to(maps)[:, None, None], maps)

        with torch.no_grad():
            maps = self.network.activations(self.inputs, [layer, late], {layer: change})[late]
        return float(self.answers(maps).mean())


def _origins(
    scene: _Scene, grid: Grid, early: Tensor, slope: Tensor, answer: float, random: np.random.Generator
) -> Origins:
    layer, mean = grid.layer, torch.from_numpy(grid.layer.mean)
    centred = early - mean.to(early)[:, None, None]
    effects = (slope * centred).sum(dim=1).cpu().numpy()  # (B, H, W)
    cells = _nearest_cells(centred, grid).cpu().numpy()  # (B, H, W)
    counts = np.bincount(cells.ravel(), minlength=len(grid))
    whole = np.bincount(cells.ravel(), weights=effects.ravel(), minlength=len(grid)) / len(cells)
    order = np.argsort(-whole, kind="stable")
    named = order[whole[order] > 0][:_NAMED]
    scale = max(abs(answer), 1e-12)

    def lost(ks: np.ndarray) -> float:
        silenced = torch.from_numpy(np.isin(cells, ks))[:, None]
        return (answer - scene.answer_without(layer.name, silenced, mean)) / scale

    others = np.setdiff1d(np.flatnonzero(counts), named)
    draws = [random.permutation(others)[: len(named)] for _ in range(_RANDOM_DRAWS)] if len(others) else []
    own = set(scene.grid.photos(scene.k).tolist())
    contributors = tuple(
        Contributor(int(k), float(whole[k]) / scale, int(counts[k]), len(own & set(grid.photos(k)))) for k in named
    )
    lost_random = float(np.mean([lost(draw) for draw in draws])) if draws else 0.0
    return Origins(grid, contributors, lost(named) if len(named) else 0.0, lost_random)


def _nearest_cells(centred: Tensor, grid: Grid) -> Tensor:
    """(B, H, W) the cell whose mean is nearest by cosine, of activations (B, C, H, W) less the layer's mean."""
    means = torch.from_numpy(grid.means - grid.layer.mean).to(centred)
    means = means / means.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return torch.stack([torch.einsum("kc,chw->khw", means, maps).argmax(dim=0) for maps in centred])
