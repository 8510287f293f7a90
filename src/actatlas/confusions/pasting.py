"""A patch pasted on photos, in a corner or anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from actatlas.networks import Network

# Pictures of a network's input size at once times bytes a number. Collecting, which decodes beside, does best with 64.
_CACHED_BYTES = 24
_MOST_TOGETHER = 64
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")


@dataclass(frozen=True)
class Spot:
    """Where a patch goes and how large it is.

    share: its longer side, as a share of the shorter side of the network's input
    corner: of CORNERS; the patch touches both edges
    """

    share: float
    corner: str


def side_px(share: float, input_px: tuple[int, int]) -> int:
    """Rounded down, so that a share is not exceeded; 1 at least."""
    return max(int(share * min(input_px) + 1e-9), 1)


def spots(shares: Sequence[float], corners: Sequence[str] = CORNERS) -> list[Spot]:
    """Every size in every corner, size by size."""
    return [Spot(share, corner) for share, corner in product(shares, corners)]


def shrunk(patch: Image.Image, side_px: int) -> Image.Image:
    """RGB with `side_px` as its longer side, enlarged where it is smaller; the aspect stays."""
    scale = side_px / max(patch.size)
    size = max(round(patch.width * scale), 1), max(round(patch.height * scale), 1)
    return patch.convert("RGB").resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def as_pixels(patch: Image.Image, network: Network) -> Tensor:
    """(channels, h, w) float32 in [0, 1], as it is; grey for a network with one channel."""
    is_grey = network.preprocessing.channel_count == 1
    values = np.array(patch.convert("L" if is_grey else "RGB"), np.float32) / 255
    return torch.from_numpy(values).reshape(*values.shape[:2], -1).permute(2, 0, 1)


def pasted(pixels: Tensor, patch: Tensor, corner: str) -> Tensor:
    """pixels: (…, channels, H, W), patch: (channels, h, w), or one for each → a copy with the patch in that corner."""
    (height, width), (h, w) = pixels.shape[-2:], patch.shape[-2:]
    top = 0 if corner.startswith("top") else height - h
    left = 0 if corner.endswith("left") else width - w
    return laid_on(pixels, patch, top, left)


def laid_on(pixels: Tensor, patch: Tensor, top: int, left: int) -> Tensor:
    """The same with the patch's upper left corner there; all of it must lie on the pixels."""
    (height, width), (h, w) = pixels.shape[-2:], patch.shape[-2:]
    assert 0 <= top <= height - h and 0 <= left <= width - w
    changed = pixels.clone()
    changed[..., top : top + h, left : left + w] = patch
    return changed


def logits_of(network: Network, pixels: Tensor) -> Tensor:
    """(B, classes) float32, on the processor, of pixels (B, channels, H, W): float32 in [0, 1], or uint8."""
    with torch.no_grad():
        parts = [
            network.logits(network.normalize(network.fit(part / 255 if part.dtype == torch.uint8 else part)))
            for part in pixels.split(together(network, pixels))
        ]
        return torch.cat([part.float().cpu() for part in parts])


def together(network: Network, pixels: Tensor) -> int:
    """Pictures in one pass: on a processor no more than its caches hold, which is up to half again as quick."""
    if network.device.type != "cpu":
        return _MOST_TOGETHER
    input_px = network.preprocessing.input_px
    height, width = input_px if network.is_fixed_size else pixels.shape[-2:]
    whole = _CACHED_BYTES // network.dtype.itemsize
    return min(max(whole * math.prod(input_px) // (height * width), 1), _MOST_TOGETHER)


def margins(logits: Tensor, targets: Tensor) -> Tensor:
    """(B,) how far the target's logit is above the highest other one: above 0 the photo is taken for the target.

    logits: (B, classes); targets: (B,) or ()
    """
    column = targets.expand(len(logits))[:, None]
    others = logits.scatter(1, column, -torch.inf)
    return (logits.gather(1, column) - others.max(dim=1, keepdim=True).values)[:, 0]
