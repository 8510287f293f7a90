"""Rows of pictures with words under them: what every result of the toolkit is shown as, on a sheet and on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from actatlas.lettering import Font, wrapped

INK, QUIET, PAPER = (35, 38, 43), (91, 96, 104), (255, 255, 255)
WIDTH_PX = 1080
_MARGIN, _GAP, _LETTER_PX, _LINE_PX = 24, 12, 14, 19


@dataclass(frozen=True)
class Tile:
    """A picture and up to three lines under it. alt: what it shows, for those who do not see it; else the lines"""

    image: Image.Image
    lines: tuple[str, ...] = ()
    alt: str = ""


@dataclass(frozen=True)
class Strip:
    """A line of text, and tiles of one size under it, broken into rows where they are many.

    tile_px: (width, height) that each is drawn at
    """

    text: str
    tiles: Sequence[Tile]
    tile_px: tuple[int, int]


@dataclass(frozen=True)
class Leaf:
    """title; lines of text under it; strips of pictures"""

    title: str
    lines: Sequence[str]
    strips: Sequence[Strip]


def draw_sheet(leaf: Leaf, width: int = WIDTH_PX) -> Image.Image:
    """RGB, as high as it must be."""
    blocks = [(strip, _rows(strip, width)) for strip in leaf.strips if strip.tiles]
    large, small = ImageFont.load_default(20), ImageFont.load_default(_LETTER_PX)
    told = [part for line in leaf.lines for part in wrapped(line, small, width - 2 * _MARGIN)]
    height = _MARGIN + 30 + len(told) * _LINE_PX + _MARGIN // 2
    height += sum(_height(strip, rows) for strip, rows in blocks) + _MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN - 4), _fitted(leaf.title, large, width - 2 * _MARGIN), fill=INK, font=large)
    y = _MARGIN + 30
    for line in told:
        pen.text((_MARGIN, y), line, fill=QUIET, font=small)
        y += _LINE_PX
    y += _MARGIN // 2
    for strip, rows in blocks:
        pen.text((_MARGIN, y), strip.text, fill=INK, font=small)
        top = y + _LINE_PX + 4 if strip.text else y
        for row in rows:
            for place, tile in enumerate(row):
                left = _MARGIN + place * (strip.tile_px[0] + _GAP)
                sheet.paste(tile.image.convert("RGB").resize(strip.tile_px, Image.Resampling.LANCZOS), (left, top))
                for number, line in enumerate(tile.lines):
                    at = (left, top + strip.tile_px[1] + 3 + number * (_LINE_PX - 2))
                    pen.text(at, _fitted(line, small, strip.tile_px[0]), fill=QUIET, font=small)
            top += _row_height(strip)
        y += _height(strip, rows)
    return sheet


def _rows(strip: Strip, width: int) -> list[Sequence[Tile]]:
    across = max(1, (width - 2 * _MARGIN + _GAP) // (strip.tile_px[0] + _GAP))
    return [strip.tiles[start : start + across] for start in range(0, len(strip.tiles), across)]


def _row_height(strip: Strip) -> int:
    lines = max(len(tile.lines) for tile in strip.tiles)
    return strip.tile_px[1] + lines * (_LINE_PX - 2) + _GAP


def _height(strip: Strip, rows: Sequence[object]) -> int:
    return (_LINE_PX + 4) * bool(strip.text) + len(rows) * _row_height(strip) + _GAP


def _fitted(text: str, font: Font, width: int) -> str:
    """Cut off where it is longer than its tile."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
