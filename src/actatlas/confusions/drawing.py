"""Experiments and stories as pictures that a stranger understands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from actatlas.confusions.pasting import side_px
from actatlas.lettering import Font, wrapped, write_wrapped

if TYPE_CHECKING:
    from actatlas.confusions.experiment import Experiment, Turn

INK, PAPER, FAINT, TARGET, BAR = (28, 30, 34), (255, 255, 255), (150, 153, 160), (204, 78, 36), (120, 146, 184)
ARM_COLOURS = {"patch": TARGET, "noise": (90, 130, 190), "grey": (130, 130, 130), "other_patch": (84, 148, 96)}
LINE_PX, MARGIN, PHOTO_PX, BARS_PX = 17, 18, 224, 250
_MOST_PHOTOS = 6


class Sheet:
    """A white page, cut in the end to what was put on it."""

    def __init__(self, width: int):
        self.image = Image.new("RGB", (width, 4000), PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.y = MARGIN

    def line(self, text: str, px: int = LINE_PX, ink: tuple[int, int, int] = INK) -> None:
        """One line, broken where it is wider than the page."""
        self.y = write_wrapped(self.pen, (MARGIN, self.y), text, px, self.image.width - 2 * MARGIN, ink)

    def paste(self, picture: Image.Image, x: int, caption: str = "") -> int:
        """At the current height, with a caption below; where it ends to the right."""
        self.image.paste(picture, (x, self.y))
        for i, part in enumerate(wrapped(caption, font(LINE_PX - 3), picture.width)):
            at = (x, self.y + picture.height + 3 + i * (LINE_PX - 1))
            self.pen.text(at, part, fill=INK, font=font(LINE_PX - 3))
        return x + picture.width

    def cut(self) -> Image.Image:
        return self.image.crop((0, 0, self.image.width, self.y + MARGIN))


def draw_experiment(experiment: Experiment, names: Sequence[str]) -> Image.Image:
    """A row a photo: before, with the patch, and what the network says; the target's probability by size below."""
    sheet = Sheet(2 * MARGIN + 2 * (PHOTO_PX + MARGIN) + 2 * BARS_PX)
    sheet.line(f"A patch for “{names[experiment.target]}”", LINE_PX + 5)
    controls = ", ".join(f"{name.replace('_', ' ')} {rate:.0%}" for name, rate in experiment.controls.items())
    others = sum(not turn.is_target for turn in experiment.turns)
    photos = f"{others} photo{'s' * (others != 1)}, each"
    sheet.line(f"turns {experiment.flip_rate:.0%} of {photos} at its best size and corner; {controls}")
    sheet.y += LINE_PX // 2
    for turn in experiment.turns[:_MOST_PHOTOS]:
        draw_turn(sheet, turn, experiment.target, names)
    if len(experiment.turns) > _MOST_PHOTOS:
        sheet.line(f"and {len(experiment.turns) - _MOST_PHOTOS} photos more", ink=FAINT)
    _draw_curves(sheet, experiment)
    return sheet.cut()


def draw_turn(sheet: Sheet, turn: Turn, target: int, names: Sequence[str]) -> None:
    """One photo before and with the patch, each with its classes as bars."""
    x = MARGIN
    before = "before" + (", and the target already" if turn.is_target else "")
    after = "with the patch" + (": turned" if turn.flipped else "")
    for pixels, classes, caption in ((turn.pixels, turn.before, before), (turn.changed, turn.after, after)):
        x = sheet.paste(fitted(Image.fromarray(pixels), PHOTO_PX), x, caption)
        draw_bars(sheet, x + 8, classes, target, names)
        x += BARS_PX + MARGIN
    sheet.y += PHOTO_PX + 2 * LINE_PX + 6


def draw_bars(sheet: Sheet, x: int, classes: Sequence[tuple[int, float]], target: int, names: Sequence[str]) -> None:
    width = BARS_PX - 16
    pen, row_px = sheet.pen, PHOTO_PX // max(len(classes), 5)
    for i, (index, probability) in enumerate(classes):
        top = sheet.y + i * row_px
        ink = TARGET if index == target else INK
        label = f"{' '.join(names[index].split())} {probability:.0%}"
        pen.text((x, top), shortened(pen, label, font(LINE_PX - 2), width), fill=ink, font=font(LINE_PX - 2))
        long = max(round(width * probability), 1)
        pen.rectangle((x, top + LINE_PX + 3, x + long, top + LINE_PX + 11), fill=TARGET if index == target else BAR)


def _draw_curves(sheet: Sheet, experiment: Experiment) -> None:
    """The target's mean probability against the patch's size, for the patch and the controls."""
    left, width, height = MARGIN + 44, 520, 200
    pen = sheet.pen
    sheet.line("The target's probability in the best corner, by the patch's size (mean over the photos)")
    top = sheet.y + 8
    curves = {arm: experiment.curve(arm) for arm in ("other_patch", "grey", "noise", "patch")}
    most = max(max(float(curve.max()) for curve in curves.values()), 0.05)
    sides = [side_px(share, experiment.network.preprocessing.input_px) for share in experiment.shares]
    low, high = min(sides), max(max(sides), min(sides) + 1)
    pen.line((left, top, left, top + height, left + width, top + height), fill=FAINT, width=1)
    for share in (0.0, 0.5, 1.0):
        y = top + height - round(height * share)
        pen.text((left - 6, y), f"{most * share:.0%}", fill=INK, font=font(LINE_PX - 4), anchor="rm")
    for side in sides:
        x = left + round(width * (side - low) / (high - low))
        pen.text((x, top + height + 4), f"{side}", fill=INK, font=font(LINE_PX - 4), anchor="ma")
    for i, (arm, curve) in enumerate(curves.items()):
        points = [
            (left + round(width * (side - low) / (high - low)), top + height - round(height * float(value) / most))
            for side, value in zip(sides, curve, strict=True)
        ]
        if len(points) > 1:
            pen.line(points, fill=ARM_COLOURS[arm], width=3)
        for x, y in points:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=ARM_COLOURS[arm])
        label = (left + width + 20, top + (len(curves) - 1 - i) * (LINE_PX + 6))
        pen.text(label, arm.replace("_", " "), fill=ARM_COLOURS[arm], font=font(LINE_PX))
    sheet.y = top + height + 2 * LINE_PX
    sheet.line("side of the patch, in pixels of the network's input", LINE_PX - 3, FAINT)


def fitted(picture: Image.Image, side: int) -> Image.Image:
    """Within a square of that side, enlarged or shrunk, on white."""
    scale = side / max(picture.size)
    size = max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)
    page = Image.new("RGB", (side, side), PAPER)
    page.paste(picture.resize(size, Image.Resampling.LANCZOS), ((side - size[0]) // 2, (side - size[1]) // 2))
    return page


def font(px: int) -> Font:
    return ImageFont.load_default(px)


def shortened(pen: ImageDraw.ImageDraw, text: str, used, width: int) -> str:
    """With an ellipsis in the middle where it is too wide: a figure at the end stays."""
    head, tail = text.rsplit(" ", 1) if " " in text else (text, "")
    while head and pen.textlength(f"{head} {tail}", font=used) > width:
        head = f"{head.rstrip('…')[:-1]}…" if len(head) > 2 else ""
    return f"{head} {tail}".strip()
