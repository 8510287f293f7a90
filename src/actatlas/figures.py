"""One grid as a matplotlib figure: icons as one raster, title, names of regions and caption as text that stays text."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actatlas.atlas import Grid
from actatlas.picture import caption, draw, place_labels, wanted_labels

TITLE_PT, LABEL_PT, CAPTION_PT = 10.0, 7.0, 7.0
MOST_LABELS = 24
_PT_PER_INCH = 72
_PX_PER_INCH = 720  # in which names are placed: tenths of a point
_LETTER_WIDTH = 0.58  # of its height, on average


def figure(
    grid: Grid,
    *,
    ax: Axes | None = None,
    width_in: float = 6.0,
    title: str | None = None,
    with_labels: bool = True,
    with_caption: bool = True,
    by_density: bool = False,
) -> Figure:
    """The figure, or the one that `ax` is in. Nothing is shown or saved: `.savefig("atlas.pdf", dpi=300)` does.

    ax: axes of yours to draw in, in a figure of several; its size stays as it is
    width_in: inches, of a new figure
    title: None says the layer and the grid; "" leaves it out
    with_labels: the class, or the region, of the largest parts of the map
    """
    title = f"{grid.layer.title}, {grid.side} × {grid.side}" if title is None else title
    if ax is None:
        above, below = 0.3 * bool(title), 0.3 * with_caption
        height_in = width_in + above + below
        made = Figure(figsize=(width_in, height_in))
        ax = made.add_axes((0, below / height_in, 1, width_in / height_in))
    found = ax.figure
    assert isinstance(found, Figure), "axes are in a figure"
    ax.imshow(
        np.asarray(draw(grid, by_density=by_density)), extent=(0, grid.side, grid.side, 0), interpolation="lanczos"
    )
    ax.set_axis_off()
    if title:
        ax.set_title(title, fontsize=TITLE_PT, loc="left")
    if with_labels:
        _write_labels(ax, grid, ax.get_window_extent().width / found.dpi)
    if with_caption:
        ax.text(0, -0.01, caption(grid), transform=ax.transAxes, fontsize=CAPTION_PT, va="top", ha="left", color="0.35")
    return found


def saved(figure: Figure, kind: str, dpi: int) -> bytes:
    """As "pdf" or "svg": text stays text, and the same figure gives the same bytes."""
    held = io.BytesIO()
    date = "CreationDate" if kind == "pdf" else "Date"
    with rc_context({"svg.hashsalt": "actatlas", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(held, format=kind, dpi=dpi, metadata={date: None})
    return held.getvalue()


def _write_labels(ax: Axes, grid: Grid, width_in: float) -> None:
    """Names on the largest regions, as far as there is room between them. width_in: of the map"""
    map_px = round(width_in * _PX_PER_INCH)
    square, letter = map_px / grid.side, LABEL_PT * _PX_PER_INCH / _PT_PER_INCH
    names = wanted_labels(grid)[:MOST_LABELS]
    height, wanted = round(1.7 * letter), []
    for name, column, row in names:
        width = round((len(name) * _LETTER_WIDTH + 1) * letter)
        wanted.append(((column + 0.5) * square, (row + 1) * square - height / 2, width, height))
    style: dict[str, Any] = {"boxstyle": "round,pad=0.2", "facecolor": (0.08, 0.09, 0.1, 0.75), "edgecolor": "none"}
    for i, (left, top, right, bottom) in place_labels(wanted, map_px, gap=round(square / 2)):
        x, y = (left + right) / 2 / square, (top + bottom) / 2 / square
        ax.text(x, y, names[i][0], fontsize=LABEL_PT, color="white", ha="center", va="center", bbox=style)
