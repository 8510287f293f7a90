"""Pictures as they lie in an atlas folder: WebP files end to end."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def encode(pixels: np.ndarray, qualities: Sequence[int] | None = None) -> dict[str, np.ndarray]:
    """(K, S, S, 3) uint8 → {"encoded": WebP files end to end, uint8; "offsets": where each starts, (K + 1,) int64}.

    Lossless unless `qualities` of 0 to 100 are given, one a picture. Of more channels than three, each three lie below
    the three before.
    """
    parts = []
    for i, picture in enumerate(_stacked(pixels)):
        buffer = io.BytesIO()
        options = {"lossless": True, "method": 2} if qualities is None else {"quality": qualities[i], "method": 6}
        Image.fromarray(picture).save(buffer, "WEBP", **options)
        parts.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    return {"encoded": np.frombuffer(b"".join(parts), np.uint8), "offsets": offsets}


def png(
    picture: Image.Image, compress_level: int = 6, dpi: int | None = None, told: Mapping[str, str] | None = None
) -> bytes:
    """compress_level: 0 to 9, of zlib: small files late, or large ones at once.

    dpi: dots an inch that the file says; told: texts that it carries, such as Title
    """
    buffer, info = io.BytesIO(), PngInfo()
    for name, text in (told or {}).items():
        info.add_itxt(name, text)
    options = {} if dpi is None else {"dpi": (dpi, dpi)}
    picture.save(buffer, "PNG", compress_level=compress_level, pnginfo=info, **options)
    return buffer.getvalue()


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """Of an RGB or grey picture, its pixels alone: no EXIF, profile, comment or place that its file may have said.

    Pillow would write what the picture's info says.
    """
    bare = Image.frombytes(picture.mode, picture.size, picture.tobytes())
    buffer = io.BytesIO()
    bare.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def decode(
    encoded: np.ndarray, offsets: np.ndarray, which: np.ndarray | None = None, channel_count: int = 3
) -> np.ndarray:
    """(K, S, S, channels) uint8 of what `encode` gave, or of those pictures of it whose numbers are in `which`."""
    chosen = range(len(offsets) - 1) if which is None else which
    files = (io.BytesIO(encoded[offsets[i] : offsets[i + 1]].tobytes()) for i in chosen)
    found = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    if channel_count <= 3:
        return found
    count, side = len(found), found.shape[2]
    apart = found.reshape(count, -1, side, side, 3).transpose(0, 2, 3, 1, 4)  # (K, S, S, threes, 3)
    return apart.reshape(count, side, side, -1)[..., :channel_count]


def _stacked(pixels: np.ndarray) -> np.ndarray:
    """(K, S, S, channels) → (K, threes · S, S, 3)"""
    if pixels.shape[-1] == 3:
        return pixels
    count, side = pixels.shape[:2]
    filled = np.pad(pixels, [(0, 0)] * 3 + [(0, -pixels.shape[-1] % 3)])
    threes = filled.shape[-1] // 3
    return filled.reshape(count, side, side, threes, 3).transpose(0, 3, 1, 2, 4).reshape(count, threes * side, side, 3)
