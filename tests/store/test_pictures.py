"""Pictures come out of an atlas folder as they went in, of any channels and of any number."""

from __future__ import annotations

import numpy as np
import pytest

from actatlas.store import pictures


@pytest.mark.parametrize("channel_count", [3, 4, 5, 6, 7])
def test_pictures_come_back_to_the_bit(channel_count: int):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, channel_count), np.uint8)
    stored = pictures.encode(pixels)
    assert np.array_equal(pictures.decode(**stored, channel_count=channel_count), pixels)
    assert np.array_equal(pictures.decode(**stored, which=np.array([2]), channel_count=channel_count), pixels[[2]])


@pytest.mark.parametrize("channel_count", [3, 5, 6])
def test_no_pictures_are_stored_as_none(channel_count: int):
    stored = pictures.encode(np.zeros((0, 16, 16, channel_count), np.uint8))
    assert len(stored["encoded"]) == 0 and stored["offsets"].tolist() == [0]


def test_each_picture_has_the_quality_that_is_asked_for():
    pixels = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8), 3, axis=0)
    stored = pictures.encode(pixels, [50, 99, 50])
    sizes = np.diff(stored["offsets"])
    assert sizes[1] > sizes[0] == sizes[2]
    off = np.abs(pictures.decode(**stored).astype(int) - pixels).mean(axis=(1, 2, 3))
    assert off[1] < off[0] == off[2]
