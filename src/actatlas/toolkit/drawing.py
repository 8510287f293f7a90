"""The toolkit's results as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from actatlas.toolkit.sheet import Strip, Tile, draw_sheet

if TYPE_CHECKING:
    from actatlas.toolkit.visualising import Visualisation

_SMALL_PX = 160


def draw_visualisation(found: Visualisation) -> Image.Image:
    across = min(max(len(found), 4), 6)
    side = min((1080 - 48 + 12) // across - 12, 248)
    pictures = []
    for i, image in enumerate(found.images):
        lines = [f"answers {found.answers[i]:.2f}", f"above {found.shares[i]:.1%} of the photos'"]
        if found.top:
            name, probability = found.top[i][0]
            lines = [f"logit {found.answers[i]:.1f}", f"taken for {name}", f"with {probability:.0%}"]
        pictures.append(Tile(image, tuple(lines)))
    patches = [
        Tile(patch, (f"answers {answer:.2f}",))
        for patch, answer in zip(found.patches, found.patch_answers, strict=True)
    ]
    which = "weakest" if found.is_negative else "strongest"
    strips = [
        Strip("Painted (no photo the network saw):", pictures, (side, side)),
        Strip(f"Real patches, the {which} of each photo:", patches, (_SMALL_PX, _SMALL_PX)),
    ]
    return draw_sheet(heading(found), [scale_line(found), found.told], strips)


def heading(found: Visualisation) -> str:
    return f"{found.title}{', as weak as can be' if found.is_negative else ''} · {found.spec}"


def scale_line(found: Visualisation) -> str:
    of = found.scale
    parts = ", ".join(f"{k:g}% below {v:.2f}" for k, v in of.percentiles.items())
    return f"Photos' activations answer {of.mean:.2f} on average, {of.lowest:.2f} to {of.highest:.2f}; {parts}."
