"""The map that a page begins with as a small picture: what stays of a widget where nothing runs it."""

from __future__ import annotations

import io

from actatlas.atlas import Atlas
from actatlas.notebook.page import Start
from actatlas.picture import under_a_line
from actatlas.site import public_title

MOST_BYTES = 300_000  # it is kept in the notebook beside each view
_MAP_PX = 800
_QUALITIES = (85, 70, 55, 40, 25, 10)


def still(atlas: Atlas, start: Start) -> bytes:
    """A JPEG of at most MOST_BYTES: the grid, about 800 pixels an edge, under the atlas's title and the layer's."""
    grid = start.layer.grid(start.side)
    plan = grid.picture(icon_px=max(_MAP_PX // grid.side, 4))
    picture = under_a_line(plan, public_title(atlas), f"{start.layer.title}, grid of {grid.side}")
    for quality in _QUALITIES:
        held = io.BytesIO()
        picture.save(held, "JPEG", quality=quality, optimize=True)
        if held.tell() <= MOST_BYTES:
            break
    return held.getvalue()
