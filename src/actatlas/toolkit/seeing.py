"""One photo that somebody names, as a network sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from actatlas.bands import Bands, shown
from actatlas.errors import BadVectors, UnreadableImage
from actatlas.given import read_columns
from actatlas.images import read_named
from actatlas.networks import Network
from actatlas.preprocessing import upright_rgb

_ARRAYS = (".npy", ".npz", ".safetensors")


@dataclass(frozen=True)
class Seen:
    """A photo.

    name: of its file; picture: as the network sees it, RGB, in false colours where that takes more than three channels
    inputs: (1, channels, H, W), normalised
    """

    name: str
    picture: Image.Image
    inputs: Tensor


def see(network: Network, photo: str | Path | Image.Image | Bands) -> Seen:
    """photo: a path may be of an array too, (H, W, channels) uint8 in a .npy, .npz or .safetensors file.

    Raises UnreadableImage that says where, also for a photo of other channels than the network takes.
    """
    picture, name = _opened(photo)
    try:
        crop = network.preprocessing.crop(picture)
    except ValueError as error:
        hint = ""
        if (count := network.preprocessing.channel_count) > 3:
            hint = f"; give it as an array (H, W, {count}) of uint8, in a .npy file, or as actatlas.bands.Bands"
        raise UnreadableImage(f"the photo {name} cannot be used: {error}{hint}") from None
    return Seen(name, shown(crop).convert("RGB"), network.normalize(network.pixels(picture)[None]))


def _opened(photo: str | Path | Image.Image | Bands) -> tuple[Image.Image | Bands, str]:
    if isinstance(photo, Bands):
        return photo, "a picture"
    if isinstance(photo, Image.Image):
        return upright_rgb(photo), "a picture"
    if Path(photo).suffix.lower() in _ARRAYS:
        return _bands_of(Path(photo)), Path(photo).name
    return read_named(photo, "the photo"), Path(photo).name


def _bands_of(path: Path) -> Bands:
    if not path.is_file():
        raise UnreadableImage(f"the photo {path} cannot be used: no such file")
    try:
        arrays, _ = read_columns(path, "a photo")
    except BadVectors as error:
        raise UnreadableImage(f"the photo {error}") from None
    if len(arrays) != 1:
        raise UnreadableImage(f"the photo {path} cannot be used: it holds {len(arrays)} arrays, a photo is one")
    try:
        return Bands(np.asarray(next(iter(arrays.values()))))
    except ValueError as error:
        raise UnreadableImage(f"the photo {path} cannot be used: {error}") from None
