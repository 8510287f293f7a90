"""Pictures with channels that are not red, green and blue, as people can see them."""

from __future__ import annotations

import colorsys

import numpy as np


def false_colours(pictures: np.ndarray) -> np.ndarray:
    """(K, S, S, channels) uint8 → (K, S, S, 3) uint8.

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
