"""From a finished atlas to one of a class: activations are chosen, laid out, divided, painted; none is collected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from actatlas.atlas import ClassAtlas, Layer
from actatlas.attributing import attribute_cells
from actatlas.classes.targets import Choice, ClassTarget, Target, VersusTarget
from actatlas.errors import TooFewImages, UsageError
from actatlas.grid import GridSettings, make_cells
from actatlas.icons import paint_cells
from actatlas.layout import LayoutSettings, lay_out, lay_out_between, lay_out_tsne
from actatlas.progress import Progress
from actatlas.records import write_cell_attributions
from actatlas.store import AtlasFolder, paths, write_cells, write_icons, writing
from actatlas.values import ActivationSet, Cells, Icons, Layout

if TYPE_CHECKING:
    from actatlas.networks import Network

LayoutMethod = Literal["umap", "tsne"]
# Activations a square of the grid; the original took 2,000 to 3,000 of a million for larger grids.
_A_SQUARE, _MOST = 8, 2500
_LEAST_PHOTOS = 3  # an atlas of fewer would be an album


@dataclass(frozen=True)
class ClassSettings:
    """How an atlas of one class is made.

    grid: cells along an edge
    most: so many activations with the highest scores are taken, beside all whose strongest class it is; 0 takes 8 for
        each square of the grid, at most 2,500
    layout: "umap", or "tsne" (openTSNE), which the original found better where points are few
    min_images: a cell with members from fewer distinct photos is dropped; the whole is of 3 photos and 8 activations
        or more
    """

    grid: int = 8
    most: int = 0
    layout: LayoutMethod = "umap"
    min_images: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        GridSettings(side=self.grid, min_images=self.min_images)
        if self.most < 0:
            raise UsageError(f"most is at least 1, or 0 for as many as suit the grid; not {self.most}")


def make_class_atlas(
    network: Callable[[], Network], layer: Layer, target: Target, settings: ClassSettings, progress: Progress
) -> ClassAtlas:
    """The atlas of `target` in `layer`; made now, or as it was made before with the same settings.

    network: loads the atlas's own network; called only where icons have to be painted
    Raises UnfinishedAtlas, TooFewImages where no cell has enough photos, Locked.
    """
    atlas = layer.atlas
    atlas.require_activations("ask for atlases of its classes")
    settings = replace(settings, most=settings.most or min(_A_SQUARE * settings.grid**2, _MOST))
    with writing(atlas.folder):
        files = AtlasFolder.existing(atlas.folder)
        home = paths.class_home(layer.name, target.key)
        if not _is_made(files, home, settings):
            choice = target.choose(layer, settings.most)
            chosen = ActivationSet.joined(list(layer.read_rows(choice.rows)))
            chosen = replace(chosen, attributions=layer.attributions_of(choice.rows))
            points = _points(layer, target, choice, chosen, settings, progress)
            cells = _divided(layer, target, choice, chosen, points, settings)
            speak = None
            if chosen.attributions is None and layer.attribution_units:
                speak = attribute_cells(network(), layer, choice.rows, cells, progress)
            icons = paint_cells(network(), layer, cells, f"{target.key}/{settings.seed}", progress, "named")
            with files.reopened():
                files.forget(home)
                files.forget(f"site/layers/{layer.slug}~{target.key}/")  # the page's share of the one before
                if speak is not None:
                    write_cell_attributions(files, home, cells.side, speak)
                _write(files, home, choice, points, cells, icons, _facts(layer, target, choice, chosen, settings))
    return ClassAtlas(type(atlas)(files).layer(layer.name), target.key)


def _points(
    layer: Layer, target: Target, choice: Choice, chosen: ActivationSet, settings: ClassSettings, progress: Progress
) -> np.ndarray:
    """(n, 2) places on the map."""
    photos = len(np.unique(chosen.image_ids))
    if photos < max(settings.min_images, _LEAST_PHOTOS) or len(chosen) < _A_SQUARE:
        raise TooFewImages(_too_few(layer, target, choice, chosen), activations=len(chosen), images=photos)
    how = LayoutSettings(align=False, seed=settings.seed)
    if isinstance(target, VersusTarget):
        return lay_out_between(chosen.vectors, chosen.image_ids, choice.scores, how).points
    if settings.layout == "tsne":
        return lay_out_tsne(chosen.vectors, chosen.image_ids, how, layer.name, progress).points
    return lay_out({layer.name: chosen.vectors}, chosen.image_ids, how, progress)[layer.name].points


def _divided(
    layer: Layer, target: Target, choice: Choice, chosen: ActivationSet, points: np.ndarray, settings: ClassSettings
) -> Cells:
    grid = GridSettings(side=settings.grid, min_images=settings.min_images)
    cells = make_cells(Layout(points), lambda: iter([chosen]), layer.mean, grid)
    if len(cells) == 0:
        raise TooFewImages(
            f"{_too_few(layer, target, choice, chosen)}, or ask for a smaller --grid", activations=len(chosen)
        )
    return cells


def _too_few(layer: Layer, target: Target, choice: Choice, chosen: ActivationSet) -> str:
    photos = len(np.unique(chosen.image_ids))
    of = f", of the {choice.scored:,} that carry attributions" if choice.scored < layer.activation_count else ""
    return (
        f"{len(chosen)} activations of {photos} photos speak for {target.title} in {layer.name}{of}: too few for an "
        "atlas; build one with more --crops and --positions, or with more photos of it"
    )


def _facts(
    layer: Layer, target: Target, choice: Choice, chosen: ActivationSet, settings: ClassSettings
) -> dict[str, Any]:
    of_class = {"class": target.index} if isinstance(target, ClassTarget) else {}
    return of_class | {
        "title": target.title, "layer": layer.name, "activations": len(choice.rows),
        "images": len(np.unique(chosen.image_ids)), "coverage": round(choice.coverage, 6), "scored": choice.scored,
        "settings": asdict(settings),
    }  # fmt: skip


def _is_made(files: AtlasFolder, home: str, settings: ClassSettings) -> bool:
    path = f"{paths.chosen(home)}.json"
    return files.has(path) and files.read_json(path)["settings"] == asdict(settings)


def _write(
    files: AtlasFolder, home: str, choice: Choice, points: np.ndarray, cells: Cells, icons: Icons, facts: dict[str, Any]
) -> None:
    write_cells(files, home, cells)
    files.write_arrays(paths.layout(home), {"points": points})
    write_icons(files, paths.mended_icons(home, cells.side), np.arange(len(cells)), icons)
    files.write_arrays(f"{paths.chosen(home)}.safetensors", {"rows": choice.rows, "scores": choice.scores})
    # Last: without it there is no class atlas.
    files.write_json(f"{paths.chosen(home)}.json", facts)
