"""Words on pictures."""

from __future__ import annotations

from PIL import ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


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
