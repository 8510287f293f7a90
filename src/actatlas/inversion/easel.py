"""The one optimisation loop: a batch of directions of a layer → as many pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize, pad

from actatlas.inversion.ascent import FlooredAdam
from actatlas.inversion.expectation import Looks
from actatlas.inversion.fidelity import centre, positions_last
from actatlas.inversion.prior import NaturalPrior
from actatlas.inversion.settings import InversionSettings
from actatlas.networks import Network
from actatlas.values import ColourStatistics, Expectation

_SHIFTS_FALL = 0.4  # of the steps, at the end
_TEMPERATURE = 0.02  # of cosines, among rivals
_PIXELS_WEIGHT = 2.0  # of the pixels' own group, where a layer has 1


@dataclass(frozen=True)
class Scene:
    """What pictures of one layer share.

    mean: (C,) of the layer; colour, expectation: of the photos
    side: of a picture; shift_px: the canvas is wider by so much all around; channel_count: of the network's input
    enlarged_px: every second step sees the picture at this side
    surroundings: what the mean cosine over the whole map weighs beside that at the centre
    position: row and column of the map where the answer is read, None reads it at the centre
    """

    layer: str
    mean: np.ndarray
    colour: ColourStatistics
    settings: InversionSettings
    expectation: Expectation | None
    side: int
    enlarged_px: int
    shift_px: int
    channel_count: int
    surroundings: float
    position: tuple[int, int] | None = None


@dataclass(frozen=True)
class Aim:
    """What a batch of pictures is drawn to, float32.

    directions: (B, C), each of length 1; rivals: (B, R, C), the picture's own first, or None; contrast: their weight
    looks: (B, F), or None
    pulls: (B, C), or None: what each unit of the answer beyond the layer's mean is worth, without bound
    """

    directions: np.ndarray
    rivals: np.ndarray | None
    contrast: float
    looks: np.ndarray | None
    pulls: np.ndarray | None = None


class Easel:
    """Paints one batch at a time, on one device. Easels that share no network may paint at the same time."""

    def __init__(self, network: Network, scene: Scene):
        self._network, self._scene, self._settings = network, scene, scene.settings
        self._device = network.device
        self._mean = self._here(np.asarray(scene.mean, np.float32))
        look_layers = scene.expectation.layers if scene.expectation else ()
        self._read = list(dict.fromkeys([scene.layer, *look_layers]))
        # The canvas is wider by the shifts, so that no edge of the picture wraps around.
        canvas_px = scene.side + 2 * scene.shift_px
        self._prior = NaturalPrior(scene.colour, canvas_px, scene.channel_count, scene.settings).to(self._device)
        if scene.expectation:
            self._looks = Looks(network, look_layers, scene.colour, scene.channel_count)
            self._look_weights = _look_weights(scene.expectation).to(self._device) * scene.settings.likeness

    def paint(
        self, aim: Aim, keys: Sequence[int], steps: int, start: np.ndarray | None, rate: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pictures (B, S, S, channels) uint8, and (B,) cosines at the first and at the last step; NaN where none."""
        here = _Here(
            directions=self._here(aim.directions),
            # They are many: compared in the network's own precision.
            rivals=None if aim.rivals is None else self._here(aim.rivals).to(self._network.dtype),
            looks=None if aim.looks is None else self._here(aim.looks),
            contrast=aim.contrast,
            pulls=None if aim.pulls is None else self._here(aim.pulls),
        )
        if start is None:
            coefficients = self._prior.draw(keys) * self._settings.start
        else:
            coefficients = self._prior.coefficients(self._widened(self._as_pixels(start)))
        optimiser = FlooredAdam(coefficients, steps, rate, self._settings.floor, is_new=start is None)
        first = last = torch.zeros(len(keys))
        for step, shift in enumerate(_shifts(steps, self._scene.shift_px)):
            coefficients.requires_grad_()
            pixels = self._cropped(self._prior.picture(coefficients), shift)
            is_enlarged = self._scene.enlarged_px > self._scene.side and (steps - step) % 2 == 0
            value, cosines = self._enlarged_value(pixels, here) if is_enlarged else self._value(pixels, here)
            (gradient,) = torch.autograd.grad(value, coefficients)
            coefficients = optimiser.climb(coefficients.detach(), gradient)
            last = cosines.detach()
            first = last if step == 0 else first
        with torch.no_grad():
            pixels = self._cropped(self._prior.picture(coefficients), (self._scene.shift_px,) * 2)
        pixels = (pixels.expand(-1, max(self._scene.channel_count, 3), -1, -1) * 255).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).cpu().numpy(), first.cpu().numpy(), last.cpu().numpy()

    def looks(self, pictures: np.ndarray) -> np.ndarray:
        """(n, F) of pictures (n, S, S, channels). Only where there is an expectation."""
        with torch.no_grad():
            return self._looks.of(self._as_pixels(pictures)).cpu().numpy()

    def _as_pixels(self, pictures: np.ndarray) -> Tensor:
        """(n, channels, S, S) in [0, 1], as many channels as the network takes."""
        pixels = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float().to(self._device) / 255
        return pixels[:, : self._scene.channel_count]

    def _value(self, pixels: Tensor, aim: _Here) -> tuple[Tensor, Tensor]:
        """What is climbed, summed over the pictures; and (B,) the cosines at the centre."""
        maps = self._maps(pixels, self._read)
        answers = positions_last(maps[self._scene.layer]).float()
        beyond = self._read_at(answers) - self._mean  # (B, C)
        at_centre = normalize(beyond, dim=1)
        cosines = (at_centre * aim.directions).sum(dim=1)
        value = cosines.sum()
        if self._scene.surroundings > 0:
            everywhere = normalize(answers - self._mean, dim=-1).flatten(1, 2)  # (B, positions, C)
            along = (aim.directions[:, None] @ everywhere.mT).mean(dim=(1, 2))
            value = value + self._scene.surroundings * along.sum()
        if aim.pulls is not None:
            value = value + (beyond * aim.pulls).sum()
        if aim.rivals is not None:
            among = torch.einsum("kc,krc->kr", at_centre.to(aim.rivals.dtype), aim.rivals).float() / _TEMPERATURE
            value = value + aim.contrast * torch.log_softmax(among, dim=1)[:, 0].sum()
        if aim.looks is not None:
            value = value - ((self._looks.of_maps(pixels, maps) - aim.looks).square() * self._look_weights).sum()
        return value, cosines

    def _enlarged_value(self, pixels: Tensor, aim: _Here) -> tuple[Tensor, Tensor]:
        """The same of the pictures enlarged. What photos look like is known at their own size alone."""
        size = (self._scene.enlarged_px,) * 2
        return self._value(interpolate(pixels, size, mode="bilinear", align_corners=False), replace(aim, looks=None))

    def _maps(self, pixels: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        return self._network.activations(self._network.normalize(self._network.fit(pixels)), layers)

    def _read_at(self, answers: Tensor) -> Tensor:
        """(B, H, W, C) → (B, C)."""
        if self._scene.position is None:
            return centre(answers)
        row, column = self._scene.position
        return answers[:, row, column].float()

    def _here(self, part: np.ndarray) -> Tensor:
        return torch.from_numpy(part).to(self._device)

    def _widened(self, pixels: Tensor) -> Tensor:
        """At the canvas's side: scaled to the picture's, the shifts around it filled with the edge."""
        side = self._scene.side
        if pixels.shape[-1] != side:
            pixels = interpolate(pixels, size=(side, side), mode="bicubic", align_corners=False, antialias=True)
        return pad(pixels, [self._scene.shift_px] * 4, mode="replicate")

    def _cropped(self, canvas: Tensor, shift: tuple[int, ...]) -> Tensor:
        top, left = shift
        return canvas[:, :, top : top + self._scene.side, left : left + self._scene.side]


@dataclass(frozen=True)
class _Here:
    """An aim on the easel's device."""

    directions: Tensor
    rivals: Tensor | None
    looks: Tensor | None
    contrast: float
    pulls: Tensor | None


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
