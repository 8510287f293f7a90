"""The story of one misunderstanding: where the class's atlas holds something foreign, and what it does on a photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from actatlas.atlas import ClassAtlas, Grid
from actatlas.confusions.drawing import INK, LINE_PX, MARGIN, PHOTO_PX, TARGET, Sheet, draw_turn, fitted
from actatlas.confusions.experiment import Turn

_DETAIL = 5  # cells of the map along an edge
_PATCHES = 3
_WIDTH = 1040


@dataclass(frozen=True)
class Scene:
    """What a story shows.

    grid, k: a map and the cell of it that holds the foreign thing
    patch: as it is in its photo; source_id: that photo; pasted_px: how wide it was pasted
    turn: a scored photo with the patch; target: the class, an index of names
    """

    grid: Grid
    k: int
    patch: Image.Image
    source_id: int
    pasted_px: int
    turn: Turn
    target: int
    names: Sequence[str]


def draw_story(title: str, sentence: str, scene: Scene) -> Image.Image:
    grid, k = scene.grid, scene.k
    sheet = Sheet(_WIDTH)
    sheet.line(title, LINE_PX + 7)
    sheet.line(sentence)
    sheet.y += LINE_PX // 2
    whose = grid.layer.subject if isinstance(grid.layer, ClassAtlas) else "all"
    side = 2 * PHOTO_PX
    x = sheet.paste(
        draw_detail(grid, k, side), MARGIN, f"From the atlas of {whose} in {grid.layer.name}: the marked cell"
    )
    x += MARGIN
    top, column = sheet.y, x
    sheet.paste(
        fitted(scene.patch, PHOTO_PX - 2 * LINE_PX),
        x,
        f"The patch, of a photo that lies there; pasted {scene.pasted_px} px wide",
    )
    sheet.y += PHOTO_PX + LINE_PX // 2
    size = (_WIDTH - column - MARGIN) // _PATCHES - 8
    for i, example in enumerate(_others(scene)):
        sheet.paste(fitted(example, size), column + i * (size + 8), "What else lies there" if i == 0 else "")
    sheet.y = top + side + 2 * LINE_PX + 16
    sheet.line("A photo that took no part in choosing the patch's size and corner:")
    draw_turn(sheet, scene.turn, scene.target, scene.names)
    return sheet.cut()


def _others(scene: Scene) -> list[Image.Image]:
    """Patches of the cell's other photos, those nearest its mean."""
    layer, rows = scene.grid.layer, scene.grid.nearest_rows(scene.k, _PATCHES + 1)
    rows = rows[layer.places.image_ids[rows] != scene.source_id][:_PATCHES]
    return layer.patches(rows) if layer.atlas.has_photos else []


def draw_detail(grid: Grid, k: int, side: int) -> Image.Image:
    """Some cells of the map around one, which is marked, `side` pixels wide."""
    column, row = grid.coordinates[k].tolist()
    cells = min(_DETAIL, grid.side)
    left = min(max(column - cells // 2, 0), grid.side - cells)
    top = min(max(row - cells // 2, 0), grid.side - cells)
    icon_px = side // cells
    picture = Image.new("RGB", (side, side), (245, 245, 245))
    pen = ImageDraw.Draw(picture)
    for other, (c, r) in enumerate(grid.coordinates.tolist()):
        if left <= c < left + cells and top <= r < top + cells:
            icon = Image.fromarray(grid.icons[other]).resize((icon_px, icon_px), Image.Resampling.LANCZOS)
            picture.paste(icon, ((c - left) * icon_px, (r - top) * icon_px))
    x, y = (column - left) * icon_px, (row - top) * icon_px
    pen.rectangle((x, y, x + icon_px - 1, y + icon_px - 1), outline=INK, width=7)
    pen.rectangle((x + 1, y + 1, x + icon_px - 2, y + icon_px - 2), outline=TARGET, width=5)
    return picture


def foreign_cell(atlas: ClassAtlas, row: int) -> int:
    """The cell of a class atlas that holds an activation of its layer; the one most like it where none does."""
    grid = atlas.grid(atlas.side)
    where = np.flatnonzero(atlas.rows == row)
    holding = [k for k in range(len(grid)) if len(where) and where[0] in grid.members(k)]
    if holding:
        return holding[0]
    (part,) = [part for part in atlas.layer.read_rows(np.array([row])) if len(part)]
    return int(np.argmax(grid.directions @ (part.vectors[0].astype(np.float32) - atlas.mean)))
