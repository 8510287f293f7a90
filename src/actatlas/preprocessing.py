"""How a photo becomes a network's input, up to the pixels: Pillow and numpy only; patches are shown without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from actatlas.bands import Bands

_MOST_PX = 8_192  # of a side: no network takes more, and a wrong digit takes all memory
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class OtherChannels(ValueError):
    """A photo of another number of channels than the network takes."""


@dataclass(frozen=True)
class Preprocessing:
    """A network's input: size, interpolation, and what is done to the values.

    input_px: (height, width) that the network was made for
    resize_px: the shorter side of the photo before the centre crop of input_px; None squeezes the photo to input_px
    interpolation: "nearest", "bilinear", "bicubic" or "lanczos"
    mean, std: per channel, of pixels in [0, 1]: the network takes (pixels − mean) / std
    channel_count: 3 for RGB, 1 for grey; for others a source gives photos as Bands
    """

    input_px: tuple[int, int]
    resize_px: int | None
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    channel_count: int = 3

    def __post_init__(self) -> None:
        if self.interpolation not in _RESAMPLING:
            raise ValueError(f'interpolation "{self.interpolation}" is none of {", ".join(_RESAMPLING)}')
        if not all(1 <= side <= _MOST_PX for side in (*self.input_px, self.resize_px or 1)):
            raise ValueError(f"an input of {self.input_px} from {self.resize_px}: sides are 1 to {_MOST_PX:,} pixels")
        if self.resize_px is not None and self.resize_px < max(self.input_px):
            raise ValueError(f"resize_px {self.resize_px} is smaller than the input {self.input_px}")
        if not len(self.mean) == len(self.std) == self.channel_count:
            raise ValueError(f"one mean and std a channel: {self.channel_count} channels, {self.mean}, {self.std}")

    def full_box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """The part of an upright photo of `size` (width, height) that is used: left, top, right, bottom in [0, 1]."""
        if self.resize_px is None:
            return 0.0, 0.0, 1.0, 1.0
        width, height = size
        scale = self.resize_px / min(width, height)
        x = self.input_px[1] / max(round(width * scale), self.input_px[1])
        y = self.input_px[0] / max(round(height * scale), self.input_px[0])
        return (1 - x) / 2, (1 - y) / 2, (1 + x) / 2, (1 + y) / 2

    def crop(self, photo: Any, box: tuple[float, float, float, float] | None = None) -> Any:
        """An upright RGB photo's `box` (default: `full_box`) at input size: RGB, or L for one channel; of Bands, Bands.

        Raises OtherChannels for a photo of another number of them than the network takes.
        """
        given = photo.channel_count if isinstance(photo, Bands) else 3
        if given != self.channel_count and (isinstance(photo, Bands) or self.channel_count != 1):
            raise OtherChannels(f"it has {given} channels, the network takes {self.channel_count}")
        box = self.full_box(photo.size) if box is None else box
        width, height = photo.size
        pixel_box = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
        size = (self.input_px[1], self.input_px[0])
        # reducing_gap lets Pillow shrink by whole factors first: several times faster on large photos, looks the same.
        resized = photo.resize(size, _RESAMPLING[self.interpolation], box=pixel_box, reducing_gap=3.0)
        return resized.convert("L") if self.channel_count == 1 and not isinstance(resized, Bands) else resized

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Preprocessing:
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**fields)


def upright_rgb(image: Image.Image) -> Image.Image:
    """Any decoded image as an upright RGB photo.

    EXIF orientation is applied (an unreadable one is taken as none). Transparency is laid on white. 16-bit and float
    greys are scaled to 8 bits (65535 → 255; float by its own minimum and maximum), never clipped. CMYK, palette, L, LA,
    1-bit are converted by Pillow; colour profiles are ignored.
    """
    image = _oriented(image)
    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N"):
        values = np.asarray(image).astype(np.float64) / 257.0
        return Image.fromarray(np.rint(values).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_scaled_to_8_bits(np.asarray(image, np.float64))).convert("RGB")
    has_alpha = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if has_alpha:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def patch_box(
    position: tuple[float, float], patch_px: int, map_size: tuple[int, int], input_px: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The square of side `patch_px` around an activation, in input pixels: left, top, right, bottom.

    The centre is the centre of the map cell that `position` (row, column fractions) falls in; at the photo's edge the
    square is shifted inwards.
    """
    edges = []
    for fraction, cells, extent in zip(position, map_size, input_px, strict=True):
        centre = (np.floor(fraction * cells) + 0.5) * extent / cells
        side = min(patch_px, extent)
        edges.append(int(min(max(round(centre - side / 2), 0), extent - side)))
    top, left = edges
    return left, top, left + min(patch_px, input_px[1]), top + min(patch_px, input_px[0])


def _oriented(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image) or image
    except (ValueError, TypeError, KeyError, SyntaxError, OSError, ZeroDivisionError, OverflowError):
        # A broken EXIF block says nothing about the pixels.
        return image


def _scaled_to_8_bits(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    elif low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12)
    return np.rint(scaled * 255).astype(np.uint8)
