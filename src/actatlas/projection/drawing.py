"""A second set of photos as a picture: the map, marked where the sets differ, and what the atlas has nothing like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from actatlas.atlas import STATES, Grid, Projection
from actatlas.lettering import wrapped, write_wrapped
from actatlas.picture import Colour, Sign, draw, draw_mark

INK, FAINT, PAPER = (28, 30, 34), (110, 114, 120), (255, 255, 255)
# Blue and orange are told apart by nearly everybody; a bar and a cross say the same without colour.
MARKS: dict[str, tuple[Colour, Sign]] = {
    "unreached": ((0, 90, 181), "−"), "fewer": ((120, 170, 220), "−"), "more": ((213, 94, 0), "+"),
}  # fmt: skip
_MARGIN, _LINE_PX, _MAP_PX, _SIDE_PX, _PATCH_PX = 24, 20, 1120, 560, 128
_FADED = 0.35  # of an icon's strength, where both sets are alike


def draw_projection(projection: Projection, grid: Grid) -> Image.Image:
    """grid: of one of the layers that the photos were placed on"""
    facts = projection.of_layer(grid.layer.name)
    board = _marked(projection, grid)
    picture = Image.new("RGB", (board.width + _SIDE_PX + 3 * _MARGIN, 4000), PAPER)
    page = _Page(picture, _MARGIN)
    page.write(f"{projection.name} on {grid.layer.atlas.title}, {grid.layer.title}", px=_LINE_PX + 8, width=board.width)
    top = page.y + _MARGIN // 2
    picture.paste(board, (_MARGIN, top))
    page = _Page(picture, board.width + 2 * _MARGIN, top)
    for line in projection.told(grid):
        page.write(line)
    _legend(page, projection, grid)
    _patches(page, projection, grid.layer.name, "far", facts["far"]["photos"], "Farthest from all that the atlas has")
    _patches(page, projection, grid.layer.name, "more", facts["more"], "Of what there is more of")
    return picture.crop((0, 0, picture.width, max(top + board.height, page.y) + _MARGIN))


def _marked(projection: Projection, grid: Grid) -> Image.Image:
    """The map: cells in which both sets are alike are faded, the others framed."""
    px = max(_MAP_PX // grid.side, 8)
    board = draw(grid, icon_px=px)
    found = projection.cells(grid)
    if "state" not in found:
        return board
    pen, pale = ImageDraw.Draw(board), Image.new("RGB", (px, px), PAPER)
    for k, (column, row) in enumerate(grid.coordinates.tolist()):
        state, box = STATES[found["state"][k]], (column * px, row * px)
        if state == "alike":
            icon = board.crop((*box, box[0] + px, box[1] + px))
            board.paste(Image.blend(pale, icon, _FADED), box)
            continue
        _mark(pen, state, box, px)
    return board


def _mark(pen: ImageDraw.ImageDraw, state: str, corner: tuple[int, int], px: int) -> None:
    colour, sign = MARKS[state]
    draw_mark(pen, corner, px, sign, (colour, PAPER))


def _legend(page: _Page, projection: Projection, grid: Grid) -> None:
    found = projection.cells(grid)
    if "state" not in found:
        return
    page.y += 8
    most = projection.facts["settings"]["unreached"]
    words = {"unreached": f"reach {most:g} or less", "fewer": "reach less than 1", "more": "reach more than 1"}
    for state, text in words.items():
        if np.any(found["state"] == STATES.index(state)):
            _mark(page.pen, state, (page.x, page.y), 3 * _LINE_PX // 2)
            page.write(f"{text}, beyond chance", indent=2 * _LINE_PX)
    page.write(
        "Reach: of what is nearest to a cell's activations and to their photos, in both sets, the share that is new "
        "over what it would be, were both alike. Cells alike in both are faded.", px=_LINE_PX - 4, ink=FAINT,
    )  # fmt: skip


def _patches(
    page: _Page, projection: Projection, layer: str, kind: str, entries: Sequence[dict[str, Any]], title: str
) -> None:
    cut = [(entry, projection.patch(layer, kind, i)) for i, entry in enumerate(entries)]
    pictures = [(entry, patch) for entry, patch in cut if patch is not None]
    if not pictures:
        return
    page.y += _LINE_PX
    page.write(title, px=_LINE_PX + 2)
    across = _SIDE_PX // (_PATCH_PX + 8)
    for i, (entry, patch) in enumerate(pictures):
        x = page.x + i % across * (_PATCH_PX + 8)
        page.picture.paste(ImageOps.fit(patch, (_PATCH_PX, _PATCH_PX), Image.Resampling.LANCZOS), (x, page.y))
        caption = entry["taken_for"] or PurePath(entry["file"]).name
        font = ImageFont.load_default(_LINE_PX - 6)
        for row, line in enumerate(wrapped(f"{caption}, {entry['distance']:.2f}", font, _PATCH_PX)[:2]):
            page.pen.text((x, page.y + _PATCH_PX + 2 + row * (_LINE_PX - 5)), line, fill=FAINT, font=font)
        if i % across == across - 1 or i == len(pictures) - 1:
            page.y += _PATCH_PX + 2 * _LINE_PX


class _Page:
    """Where one writes on a picture: a column from `x` on, at `y`."""

    def __init__(self, picture: Image.Image, x: int, y: int = _MARGIN):
        self.picture, self.x, self.y = picture, x, y
        self.pen = ImageDraw.Draw(picture)

    def write(
        self,
        text: str,
        px: int = _LINE_PX,
        ink: tuple[int, int, int] = INK,
        indent: int = 0,
        width: int = _SIDE_PX,
    ) -> None:
        corner = self.x + indent, self.y
        self.y = write_wrapped(self.pen, corner, text, px, width - indent, ink)
        self.y += px // 4
