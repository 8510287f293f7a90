"""What a network says of photos with a patch in a corner: early maps are reckoned only where the patch changes them.

A position of a layer answers to its receptive field alone. So a crop around the patch goes through the network's own
code, and where one early layer answers, what it says near the patch is laid into the photo's own maps, which are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from actatlas.confusions.pasting import logits_of, pasted, together
from actatlas.networks import Network
from actatlas.values import LayerInfo

_LEAST_SPARED = 0.1  # of the numbers that all layers give; less is not worth it
_MOST_NUMBERS = 0.5  # a photo's kept maps, of its input's
_LOOKED_AT = 3  # layers, the most sparing first
_TOLERANCE = {torch.float32: 1e-3}  # of the largest logit
_TOLERANCE_OF_HALF = 5e-2


@dataclass(frozen=True)
class _Span:
    """Along one side. crop: of the photo, in pixels; kept: positions of the layer's maps that the crop answers for;
    first: the one at which the crop's own maps begin"""

    crop: slice
    kept: slice
    first: int

    @classmethod
    def of(cls, whole_px: int, patch_px: int, is_near: bool, layer: LayerInfo, count: int) -> _Span:
        """is_near: the patch lies at the beginning, not at the end; count: the layer's positions

        A position sees half of its field to either side, give or take one position.
        """
        stride, reach = layer.stride, layer.receptive_field_px / 2
        if is_near:
            last = min(math.ceil((patch_px + reach) / stride) + 1, count)
            end = math.ceil((last * stride + reach) / stride) * stride
            return cls(slice(0, min(end, whole_px)), slice(0, last), 0)
        first = max(math.floor((whole_px - patch_px - reach) / stride) - 1, 0)
        start = max(math.floor((first * stride - reach) / stride), 0)
        return cls(slice(start * stride, whole_px), slice(first, count), start)

    @property
    def px(self) -> int:
        return self.crop.stop - self.crop.start

    @property
    def of_crop(self) -> slice:
        """`kept`, in the crop's own maps."""
        return slice(self.kept.start - self.first, self.kept.stop - self.first)


@dataclass(frozen=True)
class _Window:
    layer: str
    down: _Span
    across: _Span

    def cut(self, pixels: Tensor) -> Tensor:
        """A view. It has the photo's corner in which the patch lies."""
        return pixels[..., self.down.crop, self.across.crop]

    def laid_in(self, maps: Tensor, of_crop: Tensor) -> Tensor:
        """Both (B, C, h, w). Changes `maps`."""
        maps[..., self.down.kept, self.across.kept] = of_crop[..., self.down.of_crop, self.across.of_crop]
        return maps


class Splicing:
    """One network's windows: for every size and corner of a patch the layer that spares most.

    A window is used if the network says of a photo what it says in a whole pass; where none does, passes are whole.
    """

    def __init__(self, network: Network):
        self.network = network
        self._windows: dict[tuple[int, int, str], _Window | None] = {}

    def on(self, pixels: Tensor) -> Backdrops:
        """pixels: (n, channels, H, W) of the network's input size, float32 in [0, 1] or uint8"""
        return Backdrops(self, pixels)

    def window(self, photos: Backdrops, patches: Tensor, corner: str) -> _Window | None:
        """patches: (B, channels, h, w)"""
        key = patches.shape[-2], patches.shape[-1], corner
        if key not in self._windows:
            found = self._candidates(photos.pixels, *key)
            self._windows[key] = next((w for w in found if self._holds(w, photos, patches[:1], corner)), None)
        return self._windows[key]

    def _candidates(self, pixels: Tensor, height: int, width: int, corner: str) -> list[_Window]:
        """The most sparing first."""
        whole = tuple(pixels.shape[2:])
        if self.network.is_fixed_size or whole != tuple(self.network.preprocessing.input_px):
            return []
        # A quick copy has no module of its own for what is worked out in another.
        there = {name for name, _ in self.network.module.named_modules()}
        maps = [a for a in self.network.layers if a.form == "maps" and a.name.partition("#")[0] in there]
        total, before = sum(math.prod(layer.shape) for layer in maps), 0
        spared: list[tuple[float, _Window]] = []
        for layer in maps:
            before += math.prod(layer.shape)
            if math.prod(layer.shape) > _MOST_NUMBERS * pixels[0].numel():
                continue
            window = _Window(
                layer.name,
                _Span.of(whole[0], height, corner.startswith("top"), layer, layer.shape[1]),
                _Span.of(whole[1], width, corner.endswith("left"), layer, layer.shape[2]),
            )
            share = window.down.px * window.across.px / math.prod(whole)
            spared.append((before * (1 - share) / total, window))
        spared.sort(key=lambda each: -each[0])
        return [window for share, window in spared[:_LOOKED_AT] if share >= _LEAST_SPARED]

    def _holds(self, window: _Window, photos: Backdrops, patch: Tensor, corner: str) -> bool:
        whole = logits_of(self.network, pasted(photos.pixels[:1], patch[0], corner))
        try:
            spliced = photos.spliced(window, [0], patch, corner)
        except RuntimeError:
            # The crop's maps have other positions than the photo's, a skip goes past the layer, or a quick copy changes
            # in place what the layer gave.
            return False
        tolerance = _TOLERANCE.get(self.network.dtype, _TOLERANCE_OF_HALF)
        return bool((spliced - whole).abs().max() <= tolerance * whole.abs().max())


class Backdrops:
    """Photos that patches are pasted on. pixels: (n, channels, H, W), float32 in [0, 1] or uint8"""

    def __init__(self, splicing: Splicing, pixels: Tensor):
        self.pixels = pixels
        self._splicing, self.network = splicing, splicing.network
        self._maps: dict[tuple[str, int], Tensor] = {}  # (h, w, C), by layer and row

    def __len__(self) -> int:
        return len(self.pixels)

    def logits(self, rows: Sequence[int], patches: Tensor, corner: str) -> Tensor:
        """(B, classes) float32, on the processor, of the photos `rows` (B,) with patches (B, channels, h, w)."""
        window = self._splicing.window(self, patches, corner)
        if window is None:
            return logits_of(self.network, pasted(self.pixels[list(rows)], patches, corner))
        return self.spliced(window, rows, patches, corner)

    @torch.no_grad()
    def spliced(self, window: _Window, rows: Sequence[int], patches: Tensor, corner: str) -> Tensor:
        self._keep(window.layer, rows)
        parts = []
        # Early maps, the largest, are those of crops: caches hold twice as many photos.
        for part in _parts(len(rows), 2 * together(self.network, self.pixels)):
            chosen = rows[part]
            maps = torch.stack([self._maps[window.layer, row] for row in chosen]).permute(0, 3, 1, 2)
            inputs = self._normalized(pasted(window.cut(self.pixels)[list(chosen)], patches[part], corner))
            logits = self.network.logits(inputs, {window.layer: partial(window.laid_in, maps)})
            parts.append(logits.float().cpu())
        return torch.cat(parts)

    def _normalized(self, pixels: Tensor) -> Tensor:
        return self.network.normalize(pixels / 255 if pixels.dtype == torch.uint8 else pixels)

    def _keep(self, layer: str, rows: Sequence[int]) -> None:
        new = [row for row in dict.fromkeys(rows) if (layer, row) not in self._maps]
        for part in _parts(len(new), together(self.network, self.pixels)):
            maps = self.network.activations(self._normalized(self.pixels[new[part]]), [layer])[layer]
            for row, of_row in zip(new[part], maps.permute(0, 2, 3, 1), strict=True):
                self._maps[layer, row] = of_row.contiguous().clone()


def _parts(total: int, count: int) -> Iterator[slice]:
    return (slice(start, start + count) for start in range(0, total, count))
