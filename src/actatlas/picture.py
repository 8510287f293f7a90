"""One grid as a picture: its icons at their places, with class names or sizes by density if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from actatlas.regions import middle_of, regions

if TYPE_CHECKING:
    from actatlas.atlas import Grid

LEAST_SHARE = 0.3  # of a square's side, for the emptiest cell
LABEL_SHARE = 0.19  # of an icon's side, for the height of letters
LABEL_GAP_SHARE = 0.75  # of an icon's side: most icons stay free of names
LEAST_LETTER_PX = 10
_INK, _LINE_PX, _MARGIN = (28, 30, 34), 22, 14
Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]
Sign = Literal["−", "+", "≠"]
# Of each stroke whether it is upright, and how far it lies below the middle, as a share of the sign.
_BARS: dict[Sign, list[tuple[bool, float]]] = {
    "−": [(False, 0.0)], "+": [(False, 0.0), (True, 0.0)], "≠": [(False, -0.16), (False, 0.16)],
}  # fmt: skip


def draw(
    grid: Grid,
    *,
    with_labels: bool = False,
    by_density: bool = False,
    icon_px: int | None = None,
    background: str | tuple[int, int, int] = "white",
) -> Image.Image:
    """An RGB picture of side · icon_px pixels an edge; icon_px None draws icons as they were painted.

    with_labels: the class that a region's cells speak for most, on its middle; a name that has no room is left out
    by_density: an icon's area goes with its cell's count, as in Distill's atlases
    """
    size = icon_px or int(grid.icons.shape[1])
    picture = Image.new("RGB", (grid.side * size, grid.side * size), background)
    shares = density_shares(grid.counts) if by_density else np.ones(len(grid))
    for k, (column, row) in enumerate(grid.coordinates.tolist()):
        side = max(round(size * float(shares[k])), 2)
        icon = Image.fromarray(grid.icons[k])
        if icon.width != side:
            icon = icon.resize((side, side), Image.Resampling.LANCZOS)
        margin = (size - side) // 2
        picture.paste(icon, (column * size + margin, row * size + margin))
    if with_labels:
        _write_labels(picture, grid, size)
    return picture


def caption(grid: Grid) -> str:
    """What a reader of a paper needs to know of the picture, in one line; it names no file."""
    layer, atlas = grid.layer, grid.layer.atlas
    what = "photos nearest the cells' means" if atlas.shows_photos else "icons"
    fidelity = f", mean cosine {np.mean(grid.cosine):.2f}" if len(grid) and grid.is_painted.all() else ""
    photos = f"{atlas.image_counts['used']:,} photos"
    return f"{len(grid):,} cells of {layer.activation_count:,} activations, {photos}; {what}{fidelity}"


def side_by_side(pictures: Sequence[Image.Image], px: int = 128, columns: int = 8) -> Image.Image:
    """Some pictures as squares of px pixels an edge, so many columns to a row; what is not square is cropped."""
    squares = [ImageOps.fit(picture.convert("RGB"), (px, px), Image.Resampling.LANCZOS) for picture in pictures]
    return in_rows(squares or [Image.new("RGB", (px, px), "white")], columns, gap=px // 16)


def in_rows(pictures: Sequence[Image.Image], columns: int, gap: int = 0) -> Image.Image:
    """Some pictures of one size on one white sheet, so many columns to a row."""
    across = max(min(columns, len(pictures)), 1)
    rows = -(-len(pictures) // across)
    width, height = (side + gap for side in pictures[0].size)
    sheet = Image.new("RGB", (across * width - gap, rows * height - gap), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % across * width, i // across * height))
    return sheet


def under_a_line(picture: Image.Image, left: str, right: str = "") -> Image.Image:
    """A picture on white, with a line of text above it: what stands at its left, and what at its right.

    What does not fit of the left is left out.
    """
    framed = (picture.width + 2 * _MARGIN, picture.height + 3 * _MARGIN + _LINE_PX)
    page = Image.new("RGB", framed, "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(_LINE_PX)
    room = picture.width - pen.textlength(right, font=font) - _LINE_PX * bool(right)
    while left and pen.textlength(left, font=font) > room:
        left = f"{left.rstrip('…')[:-1]}…" if len(left) > 1 else ""
    pen.text((_MARGIN, _MARGIN), left, fill=_INK, font=font)
    pen.text((page.width - _MARGIN, _MARGIN), right, fill=_INK, font=font, anchor="ra")
    page.paste(picture, (_MARGIN, 2 * _MARGIN + _LINE_PX))
    return page


def density_shares(counts: np.ndarray) -> np.ndarray:
    """(K,) side of each icon as a share of its square: √(count / the 90th percentile), between LEAST_SHARE and 1."""
    if len(counts) == 0:
        return np.ones(0)
    return np.clip(np.sqrt(counts / np.percentile(counts, 90)), LEAST_SHARE, 1)


def place_labels(wanted: Sequence[tuple[float, float, int, int]], picture_px: int, gap: int) -> list[tuple[int, Box]]:
    """Which labels have room, and where: (index, box) with no two boxes nearer than `gap`. The first come first.

    wanted: (x, y, width, height) of each label, x and y of its middle, in pixels
    """
    placed: list[tuple[int, Box]] = []
    for i, (x, y, width, height) in enumerate(wanted):
        if width > picture_px or height > picture_px:
            continue
        left = round(min(max(x - width / 2, 0), picture_px - width))
        top = round(min(max(y - height / 2, 0), picture_px - height))
        box = (left, top, left + width, top + height)
        if all(_are_apart(box, other, gap) for _, other in placed):
            placed.append((i, box))
    return placed


def _are_apart(a: Box, b: Box, gap: int) -> bool:
    return a[2] + gap <= b[0] or b[2] + gap <= a[0] or a[3] + gap <= b[1] or b[3] + gap <= a[1]


def wanted_labels(grid: Grid) -> list[tuple[str, int, int]]:
    """(name, column, row) of the middle cell of each region, the largest first: its class, or the part of the map that
    came with a user's own vectors.
    """
    if len(grid) == 0:
        return []
    top, named = grid.top_classes(1), grid.regions
    if top is not None:
        classes, values = top[0][:, 0], top[1][:, 0]
    elif named is not None:
        classes, values = named
    else:
        return []
    found = []
    for region in sorted(regions(grid.coordinates, classes), key=lambda r: (-len(r), -float(values[r].max()))):
        k = middle_of(grid.coordinates, region)
        told = grid.class_name(int(classes[k])) if top is not None else grid.layer.region_names[classes[k]]
        name = " ".join(told.split())  # a label may hold a line break
        if name:
            found.append((name, *grid.coordinates[k].tolist()))
    return found


def _write_labels(picture: Image.Image, grid: Grid, size: int) -> None:
    letter_px = max(round(size * LABEL_SHARE), LEAST_LETTER_PX)
    font = ImageFont.load_default(letter_px)
    padding = max(letter_px // 4, 2)
    pen = ImageDraw.Draw(picture, "RGBA")
    names, wanted = [], []
    for name, column, row in wanted_labels(grid):
        left, _, right, _ = pen.textbbox((0, 0), name, font=font)
        height = round(letter_px * 1.25) + padding
        # On the lower edge of the icon: the middle is what people look at.
        wanted.append(((column + 0.5) * size, (row + 1) * size - height / 2, round(right - left) + 2 * padding, height))
        names.append(name)
    for i, box in place_labels(wanted, picture.width, gap=round(size * LABEL_GAP_SHARE)):
        pen.rounded_rectangle(box, radius=padding, fill=(20, 22, 26, 190))
        pen.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), names[i], fill=(255, 255, 255), font=font, anchor="mm")


def draw_mark(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], size: int, sign: Sign, colours: tuple[Colour, Colour]
) -> None:
    """On a cell a frame, and the sign in a corner of it, for colour is never all that tells; colours: of frame, sign"""
    x, y = corner
    line, badge = max(size // 14, 2), max(size * 2 // 5, 11)
    pen.rectangle((x, y, x + size - 1, y + size - 1), outline=colours[0], width=line)
    pen.rectangle((x, y, x + badge, y + badge), fill=colours[0])
    arm, middle, thick = badge * 0.28, np.array([x, y]) + badge / 2, max(badge // 8, 2)
    for upright, shift in _BARS[sign]:
        offset = np.array([0, shift * badge])
        reach = np.array([0, arm]) if upright else np.array([arm, 0])
        pen.line(_ends(middle + offset, reach), fill=colours[1], width=thick)
    if sign == "≠":
        pen.line(_ends(middle, np.array([arm * 0.55, -arm])), fill=colours[1], width=max(thick - 1, 1))


def _ends(middle: np.ndarray, reach: np.ndarray) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (middle - reach, middle + reach)]
