"""The one optimisation loop: directions of a layer → pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from actatlas.errors import NetworkError
from actatlas.inversion.ascent import FlooredAdam
from actatlas.inversion.expectation import Looks
from actatlas.inversion.fidelity import centre, measure_icons
from actatlas.inversion.prior import NaturalPrior
from actatlas.inversion.settings import MOST_PX, InversionSettings
from actatlas.networks import Network, folded
from actatlas.values import ColourStatistics, Expectation

_SMALLER_RATE = 0.25  # of the rate, for a picture that went astray
_SHIFTS_FALL = 0.4  # of the steps, at the end
_TEMPERATURE = 0.02  # of cosines, among rivals
_MOST_SURROUNDINGS = 7.0  # beyond, nothing but wallpaper is left
_PIXELS_WEIGHT = 2.0  # of the pixels' own group, where a layer has 1


class Renderer:
    """All that pictures of one layer share.

    layer, channel_count: the layer's name and its channels
    picture_shape: (S, S, channels) of what `paint` gives
    """

    def __init__(
        self,
        network: Network,
        layer: str,
        mean: np.ndarray,
        colour: ColourStatistics,
        settings: InversionSettings,
        expectation: Expectation | None = None,
    ):
        self.layer = layer
        self._settings = settings
        self._expectation = expectation if settings.likeness > 0 else None
        look_layers = self._expectation.layers if self._expectation else ()
        self._read = list(dict.fromkeys([layer, *look_layers]))
        self._network = folded(network, self._read)
        device = network.device
        self._mean = torch.from_numpy(np.asarray(mean, np.float32)).to(device)
        info = network.layer(layer)
        self.channel_count = info.shape[0]
        channel_count = network.preprocessing.channel_count
        self._side = side = side_px(network, layer, settings.size_px)
        self.picture_shape = (side, side, max(channel_count, 3))
        self._shift_px = min(settings.shift_px, side // 16, max(1, info.stride // 4))
        field_share = (side / max(info.receptive_field_px, 1)) ** 2
        self._surroundings = min(settings.surroundings * field_share, _MOST_SURROUNDINGS)
        # The canvas is wider by the shifts, so that no edge of the picture wraps around.
        prior = NaturalPrior(colour, side + 2 * self._shift_px, channel_count, settings)
        self._prior = prior.to(device)
        if self._expectation:
            self._looks = Looks(self._network, look_layers, colour, channel_count)
            self._look_weights = _look_weights(self._expectation).to(device) * settings.likeness

    @property
    def no_correction(self) -> np.ndarray:
        return np.zeros(len(self._expectation.offset) if self._expectation else 0, np.float32)

    def paint(
        self,
        centred: np.ndarray,
        keys: np.ndarray,
        steps: int,
        start: np.ndarray | None,
        rivals: np.ndarray | None,
        correction: np.ndarray,
        contrast: float | None = None,
    ) -> np.ndarray:
        """(n, S, S, channels) uint8.

        centred: (n, C) targets less the layer's mean; keys: (n,) seeds
        start: (n, S', S', channels) uint8 pictures to begin with, or None for the prior's noise
        rivals: (n, R, C) directions that the answer is to be told from, the picture's own first, or None
        correction: (F,) is taken from the look that is expected
        contrast: in place of the settings'

        What a picture becomes depends on nothing but these. One that ends pointing away from its target, and more so
        than it began, or where the layer answers with NaN or infinity, is painted once more, slower; NetworkError for
        lasting NaN.
        """
        pictures = np.empty((len(centred), *self.picture_shape), np.uint8)
        for begin in range(0, len(centred), self._settings.batch_size):
            rows = np.arange(begin, min(begin + self._settings.batch_size, len(centred)))
            aim = self._aim(centred[rows], _at(rivals, rows), correction, contrast)
            drawn = self._paint_batch(aim, keys[rows], steps, _at(start, rows), self._settings.rate)
            pictures[rows], first, last = drawn
            again = ~(last > 0) & ~(last >= first)  # NaN is neither
            if again.any():
                few = rows[again]
                aim = self._aim(centred[few], _at(rivals, few), correction, contrast)
                slower = self._settings.rate * _SMALLER_RATE
                pictures[few], _, last = self._paint_batch(aim, keys[few], steps, _at(start, few), slower)
                self._require_numbers(last)
        return pictures

    def answers(self, pictures: np.ndarray) -> np.ndarray:
        """(n, C) what the layer answers at the centre of each."""
        return measure_icons(self._network, self.layer, pictures)

    def lacking(self, pictures: np.ndarray, centred: np.ndarray) -> np.ndarray:
        """(F,) by how much the pictures' looks exceed what is expected of their targets, on average."""
        if self._expectation is None:
            return self.no_correction
        found = []
        with torch.no_grad():
            for batch in self._as_pixels(pictures).split(self._settings.batch_size):
                found.append(self._looks.of(batch).cpu().numpy())
        excess = np.concatenate(found) - self._expectation.looks(centred)
        return np.nan_to_num(excess.mean(axis=0), posinf=0.0, neginf=0.0).astype(np.float32)

    def _slots(self, count: int) -> list[int]:
        """A batch is full, or a multiple of 8: arithmetic depends, in its last bits, on how many pictures it holds."""
        size = min(self._settings.batch_size, -(-count // 8) * 8)
        return [i if i < count else 0 for i in range(size)]

    def _aim(
        self, centred: np.ndarray, rivals: np.ndarray | None, correction: np.ndarray, contrast: float | None
    ) -> _Aim:
        slots, device = self._slots(len(centred)), self._mean.device
        contrast = self._settings.contrast if contrast is None else contrast
        looks = None
        if self._expectation:
            looks = torch.from_numpy(self._expectation.looks(centred[slots]) - correction).to(device)
        return _Aim(
            normalize(torch.from_numpy(centred[slots]).to(device), dim=1),
            torch.from_numpy(rivals[slots]).to(device) if rivals is not None and contrast > 0 else None,
            contrast,
            looks,
        )

    def _paint_batch(
        self, aim: _Aim, keys: np.ndarray, steps: int, start: np.ndarray | None, rate: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pictures, and (n,) cosines at the first and at the last step, NaN where there is none."""
        count = len(keys)
        slots = self._slots(count)
        if start is None:
            coefficients = self._prior.draw(keys[slots].tolist()) * self._settings.start
        else:
            coefficients = self._prior.coefficients(self._widened(self._as_pixels(start[slots])))
        optimiser = FlooredAdam(coefficients, steps, rate, self._settings.floor, is_new=start is None)
        first = last = torch.zeros(len(slots))
        for step, shift in enumerate(_shifts(steps, self._shift_px)):
            coefficients.requires_grad_()
            value, cosines = self._value(self._cropped(self._prior.picture(coefficients), shift), aim)
            (gradient,) = torch.autograd.grad(value, coefficients)
            coefficients = optimiser.climb(coefficients.detach(), gradient)
            last = cosines.detach().cpu()
            first = last if step == 0 else first
        with torch.no_grad():
            pixels = self._cropped(self._prior.picture(coefficients), (self._shift_px, self._shift_px))
        pixels = (pixels.expand(-1, self.picture_shape[2], -1, -1) * 255).round().to(torch.uint8)
        return pixels[:count].permute(0, 2, 3, 1).cpu().numpy(), first[:count].numpy(), last[:count].numpy()

    def _value(self, pixels: Tensor, aim: _Aim) -> tuple[Tensor, Tensor]:
        """What is climbed, summed over the pictures; and (n,) the cosines at the centre."""
        maps = self._network.activations(self._network.normalize(self._network.fit(pixels)), self._read)
        answers = maps[self.layer]
        at_centre = normalize(centre(answers) - self._mean, dim=1)
        cosines = (at_centre * aim.directions).sum(dim=1)
        value = cosines.sum()
        if self._surroundings > 0:
            everywhere = normalize(answers - self._mean[:, None, None], dim=1)
            value = (
                value + self._surroundings * torch.einsum("kchw,kc->khw", everywhere, aim.directions).mean((1, 2)).sum()
            )
        if aim.rivals is not None:
            among = torch.einsum("kc,krc->kr", at_centre, aim.rivals) / _TEMPERATURE
            value = value + aim.contrast * torch.log_softmax(among, dim=1)[:, 0].sum()
        if aim.looks is not None:
            value = value - ((self._looks.of_maps(pixels, maps) - aim.looks).square() * self._look_weights).sum()
        return value, cosines

    def _as_pixels(self, pictures: np.ndarray) -> Tensor:
        """(n, channels, S, S) in [0, 1], as many channels as the network takes."""
        pixels = (
            torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().to(self._mean.device) / 255
        )
        return pixels[:, : self._network.preprocessing.channel_count]

    def _widened(self, pixels: Tensor) -> Tensor:
        """At the canvas's side: scaled to the picture's, the shifts around it filled with the edge."""
        if pixels.shape[-1] != self._side:
            pixels = torch.nn.functional.interpolate(
                pixels, size=(self._side, self._side), mode="bicubic", align_corners=False, antialias=True
            )
        return torch.nn.functional.pad(pixels, [self._shift_px] * 4, mode="replicate")

    def _cropped(self, canvas: Tensor, shift: tuple[int, int]) -> Tensor:
        top, left = shift
        return canvas[:, :, top : top + self._side, left : left + self._side]

    def _require_numbers(self, cosines: np.ndarray) -> None:
        """Raises NetworkError where a cosine is none."""
        if not np.isfinite(cosines).all():
            raise NetworkError(
                f'layer "{self.layer}" of {self._network.spec} answers with NaN or infinity while an icon is painted; '
                "check the network's weights, or choose another layer",
                layer=self.layer,
            )


@dataclass(frozen=True)
class _Aim:
    """What a batch of pictures is drawn to.

    directions: (B, C); rivals: (B, R, C), the picture's own first, or None; contrast: their weight
    looks: (B, F), or None
    """

    directions: Tensor
    rivals: Tensor | None
    contrast: float
    looks: Tensor | None


def side_px(network: Network, layer: str, size_px: int) -> int:
    """Side of a layer's icons: as asked for, but no more than a fixed input or twice the input of any network.

    Where the layer has fewer than five positions across such an icon, the side becomes the next odd multiple of its
    stride, so that one position lies in the centre: 96 px in place of 80 at a stride of 32.
    """
    native = min(network.preprocessing.input_px)
    if network.is_fixed_size:
        return min(size_px, native)
    side, info = min(size_px, max(2 * native, 64)), network.layer(layer)
    across = -(-side // info.stride)
    raised = (across + 1 - across % 2) * info.stride
    is_map = min(info.shape[1:]) >= 3
    return raised if is_map and across < 5 and side < raised <= min(native, MOST_PX) else side


def _look_weights(expectation: Expectation) -> Tensor:
    """(F,) so that Σ weight · difference² is the mean over groups of the mean square of differences in their scale."""
    groups = len(expectation.group_counts)
    shares = np.concatenate([np.full(n, 1 / (n * groups)) for n in expectation.group_counts])
    shares[: expectation.group_counts[0]] *= _PIXELS_WEIGHT
    return torch.from_numpy((shares / expectation.scale.astype(np.float64) ** 2).astype(np.float32))


def _shifts(steps: int, shift_px: int) -> list[tuple[int, int]]:
    """Where the picture lies on its canvas at each step: the same for all pictures, so that none depends on others.

    The shifts die away over the last part of the steps: the picture that is kept is the one that lies in the middle.
    """
    places = torch.rand((steps, 2), generator=torch.Generator().manual_seed(steps)) * 2 - 1
    share = ((1 - torch.arange(steps) / steps) / _SHIFTS_FALL).clamp(max=1.0)
    offsets = (places * share[:, None] * (shift_px + 0.5)).round().clamp(-shift_px, shift_px)
    return [(shift_px + int(down), shift_px + int(right)) for down, right in offsets]


def _at(array: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if array is None else array[rows]
