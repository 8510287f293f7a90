"""Words on pictures."""

from __future__ import annotations

import os.path
import re

from PIL import ImageDraw, ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


def percent(share: float, sign: str = "") -> str:
    """In percent, with a digit more below a tenth; "0%", with no sign, for what rounds to nothing.

    sign: "+" writes both signs
    """
    digits = 0 if round(abs(share), 3) >= 0.1 else 1
    rounded = round(share, 2 + digits)
    return f"{rounded:{sign}.{digits}%}" if rounded else "0%"


def without_folders(spec: str) -> str:
    """A network's spec as strangers may read it: of files on a disk their names alone; what a hub calls it stays."""
    head, mark, query = spec.partition("?")
    kind, colon, name = head.partition(":")
    if ".py:" in head:
        head = file_name(head)
    elif os.path.isabs(name) or re.match(r"~|[A-Za-z]:\\|\\\\", name):
        head = f"{kind}{colon}{file_name(name)}"
    options = [(key, equals, file_name(value)) for key, equals, value in (o.partition("=") for o in query.split("&"))]
    return head + mark + "&".join(map("".join, options))


def file_name(path: str) -> str:
    """The last part of a path of any system's, or of an address."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def wrapped(text: str, font: Font, width: int) -> list[str]:
    """Its words on lines of at most `width` pixels; a word that is wider has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def write_wrapped(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, px: int, width: int, ink: tuple[int, int, int]
) -> int:
    """The text in letters of px pixels, from a corner on, on lines of at most `width` pixels; where it ends below."""
    x, y = corner
    font = ImageFont.load_default(px)
    for line in wrapped(text, font, width):
        pen.text((x, y), line, fill=ink, font=font)
        y += round(px * 1.35)
    return y
