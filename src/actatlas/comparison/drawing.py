"""Two maps side by side, with the same photos at the same places, and marks where they differ."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from actatlas.atlas import Grid
from actatlas.comparison.changes import CHANGES, Change, SharedCells
from actatlas.picture import Colour, Sign, draw, draw_mark

# Okabe and Ito 2008: told apart by all kinds of colour vision. Each has a sign of its own, too.
COLOURS: dict[Change, Colour] = {
    "vanishes": (213, 94, 0), "appears": (0, 114, 178), "class": (240, 228, 66),
}  # fmt: skip
_SIGNS: dict[Change, Sign] = {"vanishes": "−", "appears": "+", "class": "≠"}
_TOLD: dict[Change, str] = {
    "vanishes": "together on the left, not on the right",
    "appears": "together on the right, not on the left",
    "class": "speaks for another class",
}
_INK, _PAPER, _LINE_PX, _MARGIN = (28, 30, 34), (255, 255, 255), 20, 16
_LEAST_CELL_PX = 24


def draw_comparison(grids: tuple[Grid, Grid], shared: SharedCells, icon_px: int | None = None) -> Image.Image:
    """grids: of the map of both, in the first and the second network, of the same cells; shared: what is told of them

    A cell's frame and sign say what most of its activations did; the bar on its lower edge says how many did.
    icon_px: side of a square; None takes the smaller of both grids' icons, at most 40
    """
    px = [int(grid.layer.icon_px) for grid in grids]
    size = icon_px or max(min(*px, 40), _LEAST_CELL_PX)
    maps = [_marked(grid, shared, size) for grid in grids]
    width = maps[0].width + maps[1].width + 3 * _MARGIN
    head = _LINE_PX + 2 * _MARGIN
    legend = _legend(_counts(shared.changes), width - 2 * _MARGIN)
    picture = Image.new("RGB", (width, head + maps[0].height + 2 * _MARGIN + legend.height), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_LINE_PX)
    for number, (grid, drawn) in enumerate(zip(grids, maps, strict=True)):
        left = _MARGIN + number * (drawn.width + _MARGIN)
        pen.text((left, _MARGIN), grid.layer.title, fill=_INK, font=font)
        picture.paste(drawn, (left, head))
    picture.paste(legend, (_MARGIN, head + maps[0].height + _MARGIN))
    return picture


def _marked(grid: Grid, shared: SharedCells, size: int) -> Image.Image:
    picture = draw(grid, icon_px=size)
    pen = ImageDraw.Draw(picture)
    for k, (column, row) in enumerate(grid.coordinates.tolist()):
        change = shared.changes[k]
        if change is not None:
            _draw_mark(pen, (column * size, row * size), size, change)
        _draw_bar(pen, (column * size, row * size), size, (float(shared.vanishing[k]), float(shared.appearing[k])))
    return picture


def _draw_bar(pen: ImageDraw.ImageDraw, corner: tuple[int, int], size: int, shares: tuple[float, float]) -> None:
    """From the left the share that vanishes, from the right the share that appears."""
    x, y = corner
    top = y + size - max(size // 7, 3)
    vanishing, appearing = (round(share * size) for share in shares)
    if vanishing:
        pen.rectangle((x, top, x + vanishing - 1, y + size - 1), fill=COLOURS["vanishes"])
    if appearing:
        pen.rectangle((x + size - appearing, top, x + size - 1, y + size - 1), fill=COLOURS["appears"])


def _draw_mark(pen: ImageDraw.ImageDraw, corner: tuple[int, int], size: int, change: Change) -> None:
    ink = _INK if change == "class" else _PAPER
    draw_mark(pen, corner, size, _SIGNS[change], (COLOURS[change], ink))


def _counts(changes: Sequence[Change | None]) -> dict[Change, int]:
    return {change: sum(one == change for one in changes) for change in CHANGES}


def _legend(counts: dict[Change, int], width: int) -> Image.Image:
    """In as many lines as it needs."""
    font = ImageFont.load_default(_LINE_PX - 5)
    badge, pitch = _LINE_PX + 4, _LINE_PX + 12
    told = [(change, f"{_TOLD[change]} ({counts[change]})") for change in CHANGES]
    entries = [*told, (None, "bars: the share of a cell's activations")]
    places, x, y = [], 0, 0
    for change, text in entries:
        long = round(font.getlength(text)) + (badge + 8 if change else 0)
        if x and x + long > width:
            x, y = 0, y + pitch
        places.append((x, y))
        x += long + 24
    picture = Image.new("RGB", (width, y + pitch), _PAPER)
    pen = ImageDraw.Draw(picture)
    for (change, text), (left, top) in zip(entries, places, strict=True):
        if change is not None:
            _draw_mark(pen, (left, top), badge, change)
        pen.text((left + (badge + 8 if change else 0), top + 4), text, fill=_INK, font=font)
    return picture
