"""The one optimisation loop: targets → pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from actatlas.errors import NetworkError, UsageError
from actatlas.inversion.fidelity import centre
from actatlas.inversion.prior import NaturalPrior
from actatlas.inversion.settings import InversionSettings
from actatlas.networks import Network, folded
from actatlas.values import ColourStatistics

_SMALLER_RATE = 0.25  # of the rate, for a picture that went astray
_SHIFTS_FALL = 0.4  # of the steps, at the end
_BOUND = 12.0  # standard deviations of the prior: no natural picture has such a coefficient


def invert(
    network: Network,
    layer: str,
    targets: np.ndarray,
    mean: np.ndarray,
    colour: ColourStatistics,
    settings: InversionSettings,
    keys: np.ndarray,
) -> np.ndarray:
    """Pictures whose answer at the layer's centre points the way of their target, both less the layer's mean.

    targets: (K, C); mean: (C,); keys: (K,) integers, each the seed of one picture: the same key, target and settings
    give the same picture, whatever else is painted with it (same machine, versions and threads).
    Returns (K, S, S, 3) uint8, S = settings.size_px or the network's input where that is smaller; grey for a network
    with one channel.

    A picture that ends pointing away from its target, and more so than it began, or where the layer answers with NaN or
    infinity, is painted once more, slower. Raises UsageError for targets that are no directions of this layer,
    NetworkError for lasting NaN.
    """
    _check(network, layer, targets, mean, keys)
    directions = normalize(torch.from_numpy(np.asarray(targets, np.float32) - np.asarray(mean, np.float32)), dim=1)
    side = min(settings.size_px, *network.preprocessing.input_px)
    pictures = np.empty((len(targets), side, side, 3), np.uint8)
    network = folded(network, [layer])
    painter = _Painter(network, layer, side, torch.from_numpy(np.asarray(mean, np.float32)), colour, settings)
    for start in range(0, len(targets), settings.batch_size):
        rows = np.arange(start, min(start + settings.batch_size, len(targets)))
        pictures[rows], first, last = painter.paint(directions[rows], keys[rows], settings.rate)
        again = rows[~(last > 0) & ~(last >= first)]  # NaN is neither
        if len(again):
            pictures[again], _, last = painter.paint(directions[again], keys[again], settings.rate * _SMALLER_RATE)
            painter.require_numbers(last)
    return pictures


def _check(network: Network, layer: str, targets: np.ndarray, mean: np.ndarray, keys: np.ndarray) -> None:
    channel_count = network.layer(layer).shape[0]
    if targets.ndim != 2 or targets.shape[1] != channel_count or mean.shape != (channel_count,):
        raise UsageError(
            f'layer "{layer}" has {channel_count} channels: targets are (K, {channel_count}) and their mean is '
            f"({channel_count},), not {targets.shape} and {mean.shape}"
        )
    if len(keys) != len(targets):
        raise UsageError(f"one key a target: {len(targets)} targets, but {len(keys)} keys")
    broken = np.flatnonzero(~np.isfinite(targets).all(axis=1))
    if len(broken):
        raise UsageError(
            f'target {broken[0]} of layer "{layer}" holds NaN or infinity; leave such activations out before averaging'
        )
    if not np.isfinite(mean).all():
        raise UsageError(f'the mean of layer "{layer}" holds NaN or infinity; leave such activations out of it')


class _Painter:
    """All that pictures of one layer share."""

    def __init__(
        self,
        network: Network,
        layer: str,
        side: int,
        mean: Tensor,
        colour: ColourStatistics,
        settings: InversionSettings,
    ):
        self._network, self._layer, self._side = network, layer, side
        self._mean = mean.to(network.device)
        self._settings = settings
        info = network.layer(layer)
        self._shift_px = min(settings.shift_px, side // 16, max(1, info.stride // 4))
        self._surroundings = settings.surroundings * (side / max(info.receptive_field_px, 1)) ** 2
        # The canvas is wider by the shifts, so that no edge of the picture wraps around.
        channel_count = network.preprocessing.channel_count
        prior = NaturalPrior(colour, side + 2 * self._shift_px, channel_count, settings)
        self._prior = prior.to(network.device)

    def paint(self, directions: Tensor, keys: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(K, S, S, 3) uint8, and (K,) cosines at the first and at the last step, NaN where there is none."""
        count = len(keys)
        # A batch is always full: arithmetic depends, in its last bits, on how many pictures it holds.
        slots = [i if i < count else 0 for i in range(self._settings.batch_size)]
        directions = directions[slots].to(self._mean.device)
        coefficients = self._prior.draw(keys[slots].tolist()) * self._settings.start
        optimiser = _FlooredAdam(coefficients, replace(self._settings, rate=rate))
        shifts = _shifts(self._settings.steps, self._shift_px)
        first = last = torch.zeros(len(slots))
        for step, shift in enumerate(shifts):
            coefficients.requires_grad_()
            cosines, around = self._cosines(self._prior.picture(coefficients), shift, directions)
            (gradient,) = torch.autograd.grad((cosines + self._surroundings * around).sum(), coefficients)
            coefficients = optimiser.climb(coefficients.detach(), gradient)
            last = cosines.detach().cpu()
            first = last if step == 0 else first
        with torch.no_grad():
            pixels = self._cropped(self._prior.picture(coefficients), (self._shift_px, self._shift_px))
        pixels = (pixels.expand(-1, 3, -1, -1) * 255).round().to(torch.uint8)
        return pixels[:count].permute(0, 2, 3, 1).cpu().numpy(), first[:count].numpy(), last[:count].numpy()

    def _cosines(self, canvas: Tensor, shift: tuple[int, int], directions: Tensor) -> tuple[Tensor, Tensor]:
        """(K,) at the centre, and (K,) the mean over all positions."""
        inputs = self._network.normalize(self._network.fit(self._cropped(canvas, shift)))
        maps = self._network.activations(inputs, [self._layer])[self._layer]
        at_centre = (normalize(centre(maps) - self._mean, dim=1) * directions).sum(dim=1)
        everywhere = normalize(maps - self._mean[:, None, None], dim=1)
        return at_centre, torch.einsum("kchw,kc->khw", everywhere, directions).mean(dim=(1, 2))

    def _cropped(self, canvas: Tensor, shift: tuple[int, int]) -> Tensor:
        top, left = shift
        return canvas[:, :, top : top + self._side, left : left + self._side]

    def require_numbers(self, cosines: np.ndarray) -> None:
        """Raises NetworkError where a cosine is none."""
        if not np.isfinite(cosines).all():
            raise NetworkError(
                f'layer "{self._layer}" of {self._network.spec} answers with NaN or infinity while an icon is painted; '
                "check the network's weights, or choose another layer",
                layer=self._layer,
            )


def _shifts(steps: int, shift_px: int) -> list[tuple[int, int]]:
    """Where the picture lies on its canvas at each step: the same for all pictures, so that none depends on others.

    The shifts die away over the last part of the steps: the picture that is kept is the one that lies in the middle.
    """
    places = torch.rand((steps, 2), generator=torch.Generator().manual_seed(steps)) * 2 - 1
    share = ((1 - torch.arange(steps) / steps) / _SHIFTS_FALL).clamp(max=1.0)
    offsets = (places * share[:, None] * (shift_px + 0.5)).round().clamp(-shift_px, shift_px)
    return [(shift_px + int(down), shift_px + int(right)) for down, right in offsets]


class _FlooredAdam:
    """Adam (Kingma and Ba 2015), uphill, each picture for itself, with a floor under each coefficient's scale.

    Plain Adam moves every coefficient at the same pace, also those that do not matter to the objective: they end as a
    texture of noise. A floor in proportion to the picture's mean square gradient leaves them near where they began.
    """

    _BETAS = 0.9, 0.999
    _WARM = 0.15  # of the steps, up to the full rate
    _HOLD = 0.3  # of the steps, until the rate begins to fall
    _LAST = 0.05  # of the rate, at the end

    def __init__(self, coefficients: Tensor, settings: InversionSettings):
        self._settings = settings
        self._step = 0
        self._first = torch.zeros_like(coefficients)
        self._second = torch.zeros_like(coefficients)

    def climb(self, coefficients: Tensor, gradient: Tensor) -> Tensor:
        b1, b2 = self._BETAS
        rate = self._rate()
        self._step += 1
        # A picture whose gradient is no number stands still for a step.
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        self._first = b1 * self._first + (1 - b1) * gradient
        self._second = b2 * self._second + (1 - b2) * gradient**2
        m = self._first / (1 - b1**self._step)
        v = self._second / (1 - b2**self._step)
        floor = self._settings.floor * v.mean(dim=(1, 2, 3, 4), keepdim=True).sqrt()
        return (coefficients + rate * m / (v.sqrt() + floor + 1e-12)).clamp(-_BOUND, _BOUND)

    def _rate(self) -> float:
        done = self._step / self._settings.steps
        warm = min(1.0, (self._step + 1) / (self._WARM * self._settings.steps))
        fall = max(0.0, (done - self._HOLD) / (1 - self._HOLD))
        return self._settings.rate * warm * (1 - (1 - self._LAST) * fall)
