"""Two classes beside one another: what lies at either end, what they share, and what tells them apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from actatlas.atlas import ClassAtlas
from actatlas.picture import draw

_INK, _PAPER, _LINE_PX, _MARGIN = (28, 30, 34), (255, 255, 255), 22, 14


def told_apart(atlas: ClassAtlas) -> pd.DataFrame:
    """The cells of a two-class atlas, those that tell the classes apart most first.

    difference: attribution to the second class less that to the first, mean over the cell's activations, in logits
    """
    grid = atlas.grid(atlas.side)
    table = grid.table()
    table.insert(3, "difference", [float(atlas.scores[grid.members(k)].mean()) for k in range(len(grid))])
    return table.iloc[np.argsort(-table["difference"].abs().to_numpy(), kind="stable")].reset_index(drop=True)


def draw_comparison(atlas: ClassAtlas, icon_px: int | None = None) -> Image.Image:
    """The atlas, the first class to the left and the second to the right."""
    plan = draw(atlas.grid(atlas.side), icon_px=icon_px)
    picture = Image.new("RGB", (plan.width + 2 * _MARGIN, plan.height + 3 * _MARGIN + _LINE_PX), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(_LINE_PX)
    first, _, second = atlas.subject.partition(" versus ")
    pen.text((_MARGIN, _MARGIN), first, fill=_INK, font=font)
    pen.text((picture.width - _MARGIN, _MARGIN), second, fill=_INK, font=font, anchor="ra")
    picture.paste(plan, (_MARGIN, 2 * _MARGIN + _LINE_PX))
    return picture
