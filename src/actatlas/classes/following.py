"""One class through the layers: which cells speak for it and against it, as a table and as a strip of maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from actatlas.atlas import Atlas, Grid
from actatlas.errors import NoAttributions, UnfinishedAtlas

_MAP_PX = 480  # of a layer's map in the strip
_STRONGEST = 6
_FAINTEST = 0.12  # how much of an icon is left where a cell does not speak for the class
_MARGIN, _LINE_PX, _INK, _PAPER = 16, 20, (28, 30, 34), (255, 255, 255)


def followed(atlas: Atlas, index: int, side: int | None = None) -> pd.DataFrame:
    """One row a cell of every layer, in each layer the strongest for the class first.

    Columns: layer, grid, cell, column, row, attribution (the mean over the cell's activations, in logits), error (its
    standard error where it is an estimate from some of these, else 0), deviations (its distance from the layer's
    average activation, in standard deviations of the cells), count, images, identified, label.

    side: of the grid; None takes each layer's coarsest
    """
    parts = []
    for name in atlas.layer_names:
        grid = grid_of(atlas, name, side)
        if grid.attributions is None or grid.attributions_over_mean is None:
            raise NoAttributions(atlas.folder)
        over = grid.attributions_over_mean[:, index]
        errors = 0.0 if grid.attribution_errors is None else grid.attribution_errors[:, index]
        table = grid.table()
        found = pd.DataFrame(
            {
                "layer": name, "grid": grid.side, "cell": table["cell"], "column": table["column"], "row": table["row"],
                "attribution": grid.attributions[:, index], "error": errors,
                "deviations": over / max(float(over.std()), 1e-12),
                "count": table["count"], "images": table["images"], "identified": table["identified"],
                "label": table["label"],
            }
        )  # fmt: skip
        parts.append(found.sort_values("attribution", ascending=False, kind="stable"))
    return pd.concat(parts, ignore_index=True)


def grid_of(atlas: Atlas, layer: str, side: int | None) -> Grid:
    """The grid of that side, or the layer's coarsest."""
    sides = atlas.layer(layer).grid_sides
    if not sides:
        raise UnfinishedAtlas(
            f"{atlas.folder} has no grid of {layer} yet; run its build command again, which continues"
        )
    return atlas.layer(layer).grid(sides[0] if side is None else side)


def draw_strip(
    atlas: Atlas, index: int, title: str, side: int | None = None, layers: Sequence[str] = ()
) -> Image.Image:
    """The layers side by side: each map dimmed where it does not speak for the class, and its strongest cells below.

    layers: empty for all. Raises NoAttributions.
    """
    panels = [_panel(grid_of(atlas, name, side), index) for name in layers or atlas.layer_names]
    width = sum(panel.width for panel in panels) + _MARGIN * (len(panels) + 1)
    picture = Image.new("RGB", (width, panels[0].height + 3 * _MARGIN + _LINE_PX), _PAPER)
    pen = ImageDraw.Draw(picture)
    told = f"{title}, layer by layer" if len(panels) > 1 else title
    pen.text((_MARGIN, _MARGIN), told, fill=_INK, font=ImageFont.load_default(_LINE_PX))
    left = _MARGIN
    for panel in panels:
        picture.paste(panel, (left, 2 * _MARGIN + _LINE_PX))
        left += panel.width + _MARGIN
    return picture


def dimmed(grid: Grid, strengths: np.ndarray, icon_px: int) -> Image.Image:
    """The grid's map, (K,) strengths from 0 to 1: where it is 0 hardly anything of an icon is left."""
    picture = Image.new("RGB", (grid.side * icon_px, grid.side * icon_px), _PAPER)
    for k, (column, row) in enumerate(grid.coordinates.tolist()):
        icon = Image.fromarray(grid.icons[k]).resize((icon_px, icon_px), Image.Resampling.LANCZOS)
        shown = _FAINTEST + (1 - _FAINTEST) * float(strengths[k])
        grey = Image.blend(Image.new("RGB", icon.size, _PAPER), icon.convert("L").convert("RGB"), 0.35)
        picture.paste(Image.blend(grey, icon, shown), (column * icon_px, row * icon_px))
    return picture


def _panel(grid: Grid, index: int) -> Image.Image:
    if grid.attributions is None or grid.attributions_over_mean is None:
        raise NoAttributions(grid.layer.atlas.folder)
    values = grid.attributions_over_mean[:, index]
    strengths = np.clip(values / max(float(values.max()), 1e-12), 0, 1) ** 1.5
    plan = dimmed(grid, strengths, max(_MAP_PX // grid.side, 4))
    icon_px = plan.width // _STRONGEST - 4
    picture = Image.new("RGB", (plan.width, plan.height + icon_px + 2 * _LINE_PX + 12), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_LINE_PX * 0.7)
    pen.text((0, 0), grid.layer.name, fill=_INK, font=font)
    picture.paste(plan, (0, _LINE_PX))
    top = plan.height + _LINE_PX + 6
    for place, k in enumerate(np.argsort(-values, kind="stable")[:_STRONGEST]):
        left = place * plan.width // _STRONGEST
        icon = Image.fromarray(grid.icons[k]).resize((icon_px, icon_px), Image.Resampling.LANCZOS)
        picture.paste(icon, (left, top))
        pen.text((left, top + icon_px + 2), f"{grid.attributions[k, index]:+.2f}", fill=_INK, font=font)
    return picture
