"""What is shown of each of the toolkit's results, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from actatlas.lettering import without_folders
from actatlas.toolkit.sheet import PAPER, Leaf, Strip, Tile
from actatlas.toolkit.telling import (
    channels_lines,
    grid_lines,
    heading,
    layer_line,
    picture_lines,
    scale_line,
    silence_lines,
    spatial_lines,
)

if TYPE_CHECKING:
    from actatlas.toolkit.attribution import ChannelAttribution, SpatialAttribution
    from actatlas.toolkit.grids import ActivationGrid, LayerGrid
    from actatlas.toolkit.visualising import Visualisation

_SMALL_PX = 160
_WIDE_PX = 1032
_PAIR_PX = 326, 160  # an icon, a gap, and where on the photo
_FOR, _AGAINST = (201, 93, 38), (38, 98, 176)  # both can be told by people who see red and green alike
_LEAST_SHARE = 0.25  # of a position's square, for what hardly answers


def show_visualisation(found: Visualisation) -> Leaf:
    across = min(max(len(found), 4), 6)
    side = min((_WIDE_PX + 12) // across - 12, 248)
    pictures = [Tile(image, picture_lines(found, i)) for i, image in enumerate(found.images)]
    patches = [
        Tile(patch, (f"answers {answer:.2f}",))
        for patch, answer in zip(found.patches, found.patch_answers, strict=True)
    ]
    which = "weakest" if found.is_negative else "strongest"
    of_photos = "Real patches at which it is silent, one a photo:" if found.is_silence else ""
    strips = [
        Strip("Painted (no photo the network saw):", pictures, (side, side)),
        Strip(of_photos or f"Real patches, the {which} of each photo:", patches, (_SMALL_PX, _SMALL_PX)),
    ]
    return Leaf(heading(found), [scale_line(found), found.told, *silence_lines(found)], strips)


def show_grid(found: ActivationGrid) -> Leaf:
    strips = []
    side = (_WIDE_PX - 12) // 2
    photo = Tile(found.photo, ("the photo, as the network sees it",))
    if all(layer.memberships is None for layer in found.layers):
        tiles = [photo, *(Tile(mosaic(layer, side), (layer_line(layer),)) for layer in found.layers)]
        strips.append(Strip("", tiles, (side, side)))
    else:
        strips.append(Strip("", [photo], (side // 2, side // 2)))
        for layer in found.layers:
            shares = [f"{share:.0%}" for share in layer.magnitudes]
            tiles = [
                Tile(beside(layer.icons[i], where(found.photo, layer, i)), (share,)) for i, share in enumerate(shares)
            ]
            strips.append(Strip(layer_line(layer), tiles, _PAIR_PX))
    return Leaf(f"What {found.name} is to {without_folders(found.spec)}", grid_lines(found), strips)


def show_spatial(found: SpatialAttribution) -> Leaf:
    side = (_WIDE_PX - 12) // 2
    tiles = [Tile(found.photo, ("the photo, as the network sees it",)), Tile(heat(found), ("for it · against it",))]
    strips = [Strip(f"Orange speaks for {found.question.title}, blue against:", tiles, (side, side))]
    title = f"Where {found.layer} sees {found.question.title} · {without_folders(found.spec)}"
    return Leaf(title, spatial_lines(found), strips)


def show_channels(found: ChannelAttribution) -> Leaf:
    half = len(found.channels) // 2
    photo = Tile(found.photo, ("the photo",))
    strips = [Strip("", [photo], (248, 248))]
    for text, part in (
        (f"Channels that speak for {found.question.title}, and where they answer:", range(half)),
        ("Channels that speak against it:", range(len(found.channels) - 1, half - 1, -1)),
    ):
        tiles = []
        for i in part:
            channel = int(found.channels[i])
            pair = beside(found.icons[i], lit(found.photo, found.maps[i]))
            tiles.append(Tile(pair, (f"channel {channel}", f"{found.values[channel]:+.2f}")))
        strips.append(Strip(text, tiles, _PAIR_PX))
    title = f"What {found.layer} sees {found.question.title} by · {without_folders(found.spec)}"
    return Leaf(title, channels_lines(found), strips)


def mosaic(layer: LayerGrid, side_px: int) -> Image.Image:
    """The icons at their positions, an icon's area as large as its activation."""
    rows, columns = layer.shape
    square = side_px // max(rows, columns)
    picture = Image.new("RGB", (columns * square, rows * square), PAPER)
    most = max(float(np.percentile(layer.magnitudes, 95)), 1e-12)
    for i, icon in enumerate(layer.icons):
        share = min(max(float(np.sqrt(layer.magnitudes[i] / most)), _LEAST_SHARE), 1.0)
        side = max(round(square * share), 2)
        small = Image.fromarray(icon).resize((side, side), Image.Resampling.LANCZOS)
        margin = (square - side) // 2
        picture.paste(small, (i % columns * square + margin, i // columns * square + margin))
    return picture


def beside(icon: np.ndarray, place: Image.Image) -> Image.Image:
    """One picture of both, on white."""
    width, side = _PAIR_PX
    pair = Image.new("RGB", _PAIR_PX, PAPER)
    for left, picture in ((0, Image.fromarray(icon)), (width - side, place)):
        pair.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (left, 0))
    return pair


def where(photo: Image.Image, layer: LayerGrid, group: int) -> Image.Image:
    """The photo in colour where there is of a group."""
    assert layer.memberships is not None  # asked of groups alone
    return lit(photo, layer.memberships[group])


def lit(photo: Image.Image, values: np.ndarray) -> Image.Image:
    """The photo in colour where values (H, W) are high, pale and grey where they are not above 0."""
    most = max(float(np.percentile(values, 98)), 1e-12)
    shares = np.clip(values / most, 0, 1)
    smooth = Image.fromarray((shares * 255).astype(np.uint8)).resize(photo.size, Image.Resampling.BICUBIC)
    share = np.asarray(smooth, np.float32)[..., None] / 255
    pale = 0.25 * np.asarray(photo.convert("L").convert("RGB"), np.float32) + 180
    return Image.fromarray((share * np.asarray(photo.convert("RGB"), np.float32) + (1 - share) * pale).astype(np.uint8))


def heat(found: SpatialAttribution) -> Image.Image:
    """The photo in grey, orange where something speaks for the class, blue where against it."""
    most = max(float(np.abs(found.values).max()), 1e-12)
    signed = Image.fromarray((found.values / most).astype(np.float32)).resize(
        found.photo.size, Image.Resampling.BICUBIC
    )
    strength = np.clip(np.asarray(signed), -1, 1)[..., None]
    grey = np.asarray(found.photo.convert("L").convert("RGB"), np.float32) * 0.6 + 80
    colour = np.where(strength > 0, np.array(_FOR, np.float32), np.array(_AGAINST, np.float32))
    share = np.abs(strength) ** 0.8 * 0.8
    return Image.fromarray(np.clip(grey * (1 - share) + colour * share, 0, 255).astype(np.uint8))
