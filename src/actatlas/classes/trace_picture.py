"""A trace as a picture: a small graph from early to late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from actatlas.lettering import percent

if TYPE_CHECKING:
    from actatlas.classes.tracing import Trace

_ICON_PX, _LATE_PX, _GAP, _MARGIN, _LINE_PX = 112, 176, 56, 20, 18
_INK, _PAPER, _EDGE = (28, 30, 34), (255, 255, 255), (90, 130, 190)


def draw_trace(trace: Trace, title: str) -> Image.Image:
    """A column a layer, early to late; a line is as thick as what its cell contributes."""
    rows = max((len(origins.contributors) for origins in trace.origins), default=1)
    cell_px = _ICON_PX + 2 * _LINE_PX
    top = _MARGIN + 2 * _LINE_PX
    height = top + max(rows * cell_px, _LATE_PX + 2 * _LINE_PX) + 3 * _LINE_PX + _MARGIN
    width = 2 * _MARGIN + len(trace.origins) * (_ICON_PX + 2 * _GAP) + _LATE_PX + 60
    picture = Image.new("RGB", (width, height), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_LINE_PX * 0.8)
    late_left, late_top = width - _MARGIN - _LATE_PX, top + (rows * cell_px - _LATE_PX) // 2
    pen.text(
        (_MARGIN, _MARGIN // 2), f"{title}: what its cell is made of", fill=_INK, font=ImageFont.load_default(_LINE_PX)
    )
    for place, origins in enumerate(trace.origins):
        left = _MARGIN + place * (_ICON_PX + 2 * _GAP)
        whole = sum(c.contribution for c in origins.contributors) or 1.0
        for row, contributor in enumerate(origins.contributors):
            y = top + row * cell_px
            thick = max(round(14 * contributor.contribution / whole), 1)
            start, end = (left + _ICON_PX, y + _ICON_PX // 2), (late_left, late_top + _LATE_PX // 2)
            _curve(picture, start, end, thick, (place + 1) / (len(trace.origins) + 1))
        for row, contributor in enumerate(origins.contributors):
            y = top + row * cell_px
            _paste(picture, origins.grid.icons[contributor.k], left, y, _ICON_PX)
            photos = f"{contributor.photos} photo{'' if contributor.photos == 1 else 's'}"
            told = f"{percent(contributor.contribution)}, {photos}"
            pen.text((left, y + _ICON_PX + 2), told, fill=_INK, font=font)
        bottom = top + rows * cell_px + 2
        pen.text((left, bottom), origins.grid.layer.name, fill=_INK, font=font)
        for line, (without, lost) in enumerate((("these", origins.lost_named), ("others", origins.lost_random)), 1):
            told = f"without {without}: {percent(-lost, '+')}"
            pen.text((left, bottom + line * _LINE_PX), told, fill=_INK, font=font)
    _paste(picture, trace.grid.icons[trace.k], late_left, late_top, _LATE_PX)
    column, row = trace.grid.coordinates[trace.k].tolist()
    pen.text((late_left, late_top + _LATE_PX + 2), f"{trace.grid.layer.name}, {column},{row}", fill=_INK, font=font)
    return picture


def _curve(picture: Image.Image, start: tuple[int, int], end: tuple[int, int], thick: int, strength: float) -> None:
    """A Bézier curve that leaves and arrives level."""
    t = np.linspace(0, 1, 40)[:, None]
    a, d = np.array(start, float), np.array(end, float)
    middle = np.array([(a[0] + d[0]) / 2, 0])
    b, c = np.array([middle[0], a[1]]), np.array([middle[0], d[1]])
    points = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
    colour = tuple(round(255 - (255 - value) * (0.35 + 0.65 * strength)) for value in _EDGE)
    ImageDraw.Draw(picture).line([tuple(p) for p in points.tolist()], fill=colour, width=thick, joint="curve")


def _paste(picture: Image.Image, icon: np.ndarray, left: int, top: int, size: int) -> None:
    picture.paste(Image.fromarray(icon).resize((size, size), Image.Resampling.LANCZOS), (left, top))
