"""What photos have in common: a picture is made of coefficients that are all of the same size for a natural image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from actatlas.inversion.settings import InversionSettings
from actatlas.values import ColourStatistics

_LEAST = 0.01  # of a pixel's range: beyond, the sigmoid hardly moves


class NaturalPrior:
    """Fourier coefficients in decorrelated colours ↔ pictures.

    With standard normal coefficients, every pixel has the photos' own mean and covariance of colours (before the
    sigmoid that keeps it in [0, 1], to first order) and amplitudes fall as 1/frequency^exponent. After Olah,
    Mordvintsev and Schubert, "Feature Visualization", Distill 2017, with the photos at hand in ImageNet's place.
    """

    def __init__(self, colour: ColourStatistics, side: int, channel_count: int, settings: InversionSettings):
        self.side = side
        mean, mixing = _decorrelated(colour, channel_count)
        self._bias = torch.logit(mean)[:, None, None]  # (channels, 1, 1)
        self._mixing = mixing  # (channels, channels): decorrelated → RGB, before the sigmoid
        self._unmixing = torch.linalg.inv(mixing)
        exponents = [settings.brightness_exponent, *[settings.colour_exponent] * (channel_count - 1)]
        self._spectrum = torch.stack([_spectrum(side, exponent) for exponent in exponents])

    def to(self, device: torch.device) -> NaturalPrior:
        self._bias, self._mixing, self._unmixing, self._spectrum = (
            part.to(device) for part in (self._bias, self._mixing, self._unmixing, self._spectrum)
        )
        return self

    def draw(self, keys: Sequence[int]) -> Tensor:
        """(K, channels, side, side // 2 + 1, 2) standard normal; each picture's come from its key alone."""
        shape = (*self._spectrum.shape, 2)
        drawn = [torch.randn(shape, generator=torch.Generator().manual_seed(int(key) % 2**63)) for key in keys]
        return torch.stack(drawn).to(self._spectrum.device)

    def picture(self, coefficients: Tensor) -> Tensor:
        """(K, channels, side, side) in (0, 1), differentiable."""
        spectrum = torch.view_as_complex(coefficients) * self._spectrum
        planes = torch.fft.irfft2(spectrum, s=(self.side, self.side), norm="ortho")
        return torch.sigmoid((self._mixing @ planes.flatten(2)).view_as(planes) + self._bias)

    def coefficients(self, pixels: Tensor) -> Tensor:
        """What `picture` makes these pixels (K, channels, side, side) in [0, 1] of; 0 and 1 are taken as nearly so."""
        values = torch.logit(pixels.clamp(_LEAST, 1 - _LEAST)) - self._bias
        planes = (self._unmixing @ values.flatten(2)).view_as(values)
        return torch.view_as_real(torch.fft.rfft2(planes, norm="ortho") / self._spectrum)


def _decorrelated(colour: ColourStatistics, channel_count: int) -> tuple[Tensor, Tensor]:
    """Mean in (0, 1), and the matrix whose columns are the principal colours before the sigmoid, strongest first."""
    mean, covariance = colour.in_channels(channel_count)
    mean = np.clip(mean, 0.02, 0.98)
    slope = mean * (1 - mean)  # of the sigmoid at the mean
    variances, colours = np.linalg.eigh(covariance / np.outer(slope, slope))
    # Photos in one colour, or in grey: the other directions stay possible, barely.
    variances = np.maximum(variances, max(1e-3 * variances.max(), 1e-4))
    mixing = (colours * np.sqrt(variances))[:, ::-1]
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(mixing.copy(), dtype=torch.float32)


def _spectrum(side: int, exponent: float) -> Tensor:
    """(side, side // 2 + 1): 1/f^exponent, scaled so that standard normal coefficients give planes of variance 1."""
    f = torch.sqrt(torch.fft.fftfreq(side)[:, None] ** 2 + torch.fft.rfftfreq(side)[None] ** 2)
    amplitudes = f.clamp(min=1 / side) ** -exponent
    # A column stands for itself and its mirror image, except those that are their own, which count by half and once.
    shares = torch.full_like(amplitudes, 4.0)
    shares[:, [0, -1] if side % 2 == 0 else [0]] = 1.0
    return amplitudes * side / torch.sqrt((shares * amplitudes**2).sum())
