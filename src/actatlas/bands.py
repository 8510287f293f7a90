"""Pictures with channels that are not red, green and blue: as numbers, and as people can see them."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from PIL import Image


class Bands:
    """A photo of any number of channels (multi-spectral, say), where an RGB photo is a PIL image.

    values: (H, W, channels) uint8, upright
    """

    def __init__(self, values: np.ndarray):
        if values.ndim != 3 or values.dtype != np.uint8 or 0 in values.shape:
            raise ValueError(f"bands are (H, W, channels) uint8, not {values.shape} {values.dtype}")
        self.values = values

    @property
    def size(self) -> tuple[int, int]:
        """width, height, as PIL has it"""
        return self.width, self.height

    @property
    def channel_count(self) -> int:
        return self.values.shape[2]

    @property
    def width(self) -> int:
        return self.values.shape[1]

    @property
    def height(self) -> int:
        return self.values.shape[0]

    def crop(self, box: tuple[int, int, int, int]) -> Bands:
        """left, top, right, bottom, inside the picture"""
        left, top, right, bottom = box
        return Bands(self.values[top:bottom, left:right])

    def resize(
        self,
        size: tuple[int, int],
        resample: Any,
        box: tuple[float, float, float, float] | None = None,
        reducing_gap: float | None = None,
    ) -> Bands:
        """Each channel as PIL does it."""
        parts = [
            Image.fromarray(self.values[:, :, channel]).resize(size, resample, box=box, reducing_gap=reducing_gap)
            for channel in range(self.channel_count)
        ]
        return Bands(np.stack([np.asarray(part) for part in parts], axis=2))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=True if copy is None else copy)


def shown(picture: Image.Image | Bands) -> Image.Image:
    """As people can see it: in false colours, where it has bands."""
    return Image.fromarray(false_colours(picture.values)) if isinstance(picture, Bands) else picture


def false_colours(pictures: np.ndarray) -> np.ndarray:
    """(…, channels) uint8 → (…, 3) uint8.

    Three channels are taken as red, green and blue, one as grey. Otherwise each channel has a hue of its own, the hues
    evenly around the circle from red on; a pixel is the mean of the hues, weighted by the channels, and scaled so that
    equal channels give their grey.
    """
    channel_count = pictures.shape[-1]
    if channel_count == 3:
        return pictures
    if channel_count == 1:
        return np.repeat(pictures, 3, axis=-1)
    hues = np.array([colorsys.hsv_to_rgb(c / channel_count, 1, 1) for c in range(channel_count)])  # (channels, 3)
    weights = hues / hues.sum(axis=0)
    return np.rint(pictures @ weights).clip(0, 255).astype(np.uint8)
