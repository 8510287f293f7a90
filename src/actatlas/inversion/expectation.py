"""What photos look like where a layer answers like this: learnt from patches of photos, in seconds.

A ridge regression from the activation at a patch's centre to what the whole patch looks like: colours, contrast and
roughness, and what the network's own layers answer in nine parts of it. It is linear, so for the mean of a cell's
activations it gives the mean of what was learnt of its members. No picture starts from it; pictures are drawn to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from actatlas.inversion.fidelity import positions_last
from actatlas.inversion.settings import InversionSettings
from actatlas.networks import Network, lightened
from actatlas.values import ColourStatistics, Expectation

_BATCH = 16
_HELD_OUT = 5  # every fifth photo chooses the penalty
_PENALTIES = 0.3, 3.0, 30.0, 300.0  # in mean squared activations
_COARSE_PX = 8
_LEAST_SCALE = 0.05  # of the largest standard deviation in a group
_ACROSS = 3  # parts of a patch, and as many down
_TRIED = 256  # numbers of a group on which its penalty is chosen
_AXES = 512  # of activations; along the others they hardly vary
_RANK = 128  # of what they tell


class Looks:
    """Measures what pictures look like: (B, F), differentiable.

    The first group is of the pixels themselves, in decorrelated colours: mean, contrast of squares of 8 px, contrast,
    and mean difference of neighbours. Each further group is one layer's mean in each of 3 × 3 parts of the picture.
    """

    def __init__(self, network: Network, layers: Sequence[str], colour: ColourStatistics, channel_count: int):
        self._network = network
        self.layers = tuple(layers)
        mean, unmixing = _decorrelating(colour, channel_count)
        self._mean, self._unmixing = mean.to(network.device), unmixing.to(network.device)

    def of(self, pixels: Tensor) -> Tensor:
        """pixels: (B, channels, S, S) in [0, 1]."""
        return self.of_maps(pixels, self._maps(pixels))

    def of_maps(self, pixels: Tensor, maps: dict[str, Tensor]) -> Tensor:
        """The same, of layers that were read already."""
        return torch.cat(self._groups(pixels, maps), dim=1)

    def group_counts(self, pixels: Tensor) -> list[int]:
        """How many numbers each group has, of pictures of this size."""
        with torch.no_grad():
            return [group.shape[1] for group in self._groups(pixels, self._maps(pixels))]

    def _maps(self, pixels: Tensor) -> dict[str, Tensor]:
        return self._network.activations(self._network.normalize(self._network.fit(pixels)), self.layers)

    def _groups(self, pixels: Tensor, maps: dict[str, Tensor]) -> list[Tensor]:
        return [self._of_pixels(pixels), *(_in_parts(positions_last(maps[name])) for name in self.layers)]

    def _of_pixels(self, pixels: Tensor) -> Tensor:
        y = (self._unmixing @ (pixels - self._mean[:, None, None]).flatten(2)).unflatten(2, pixels.shape[2:])
        mean = y.mean(dim=(2, 3))
        coarse = avg_pool2d(y, min(_COARSE_PX, y.shape[-1]))
        steps = (y[..., 1:] - y[..., :-1]).abs().mean(dim=(2, 3)) + (y[..., 1:, :] - y[..., :-1, :]).abs().mean((2, 3))
        return torch.cat([mean, _contrast(coarse, mean), _contrast(y, mean), steps], dim=1)


def learn_expectation(
    network: Network,
    layer: str,
    vectors: np.ndarray,
    patches: np.ndarray,
    groups: np.ndarray,
    mean: np.ndarray,
    colour: ColourStatistics,
    settings: InversionSettings,
) -> Expectation:
    """From n activations and the patches around them.

    vectors: (n, C); patches: (n, S, S, channels) uint8, centred on the activation; groups: (n,) the photo of each
    mean: (C,) of the layer; settings: which layers are looked at
    """
    layers = _look_layers(network, layer, settings.look_depth)[:: -settings.look_every][::-1]
    # The very copy that will paint.
    looks = Looks(lightened(network, {layer, *layers}), layers, colour, patches.shape[3])
    measured = []
    with torch.no_grad():
        for batch in torch.from_numpy(patches).split(_BATCH):
            pixels = batch.permute(0, 3, 1, 2).float().to(network.device) / 255
            measured.append(looks.of(pixels).cpu())
    found = torch.cat(measured).nan_to_num_(0.0, 0.0, 0.0)  # (n, F)
    counts = looks.group_counts(pixels[:1])
    deviations = found.std(dim=0, correction=0)
    scale = torch.cat([d + _LEAST_SCALE * d.max().clamp(min=1e-6) for d in deviations.split(counts)])
    centred = torch.from_numpy(np.asarray(vectors, np.float32) - np.asarray(mean, np.float32))  # (n, C)
    penalties, explained = _choose_penalties(centred, found, scale, counts, groups)
    basis, weights = _fit(centred, found, scale, penalties)
    return Expectation(
        layers=tuple(layers),
        group_counts=tuple(counts),
        explained=tuple(explained),
        basis=basis.numpy(),
        weights=weights.to(torch.float16).numpy(),
        offset=(found.mean(dim=0) - centred.mean(dim=0) @ basis @ weights * scale).numpy(),
        scale=scale.numpy(),
    )


def _look_layers(network: Network, layer: str, depth: float) -> list[str]:
    """Over the network, to the layer itself, and at least so far."""
    order = {info.name: i for i, info in enumerate(network.layers)}
    layer = network.layer(layer).name
    spread = network.spread_layers
    upto = sum(order[name] < order[layer] for name in spread)
    chosen = {layer, *spread[: max(upto, math.ceil(depth * len(spread)))]}
    return sorted(chosen, key=order.__getitem__)


def _choose_penalties(
    x: Tensor, y: Tensor, scale: Tensor, counts: list[int], photos: np.ndarray
) -> tuple[Tensor, list[float]]:
    """(F,) penalties, and the share of each group's variance that is explained on photos held out.

    Each group has its own: the one that does best on every fifth photo, after learning from the others.
    """
    unique = np.unique(photos)
    is_tested = torch.from_numpy(np.isin(photos, unique[::_HELD_OUT])) if len(unique) > 1 else torch.zeros(len(x)) > 0
    taken = [torch.arange(start, start + n, max(1, n // _TRIED)) for start, n in _spans(counts)]
    columns, tried = torch.cat(taken), [len(part) for part in taken]
    some, some_scale = y[:, columns], scale[columns]
    spread = _Spread(x[~is_tested], some[~is_tested])
    shares = torch.stack(
        [
            _explained(x[is_tested], some[is_tested], *spread.solved(torch.tensor(penalty)), some_scale, tried)
            for penalty in _PENALTIES
        ]
    )
    best = torch.tensor(_PENALTIES)[shares.argmax(dim=0)]  # (groups,)
    return best.repeat_interleave(torch.tensor(counts)), [round(v, 4) for v in shares.max(dim=0).values.tolist()]


def _fit(x: Tensor, y: Tensor, scale: Tensor, penalties: Tensor) -> tuple[Tensor, Tensor]:
    """(C, R) and (R, F): of the ridge's weights the part that tells most. All would take the room of activations."""
    return _Spread(x, y).reduced(penalties, scale)


class _Spread:
    """Activations along their principal axes: one decomposition serves every penalty."""

    def __init__(self, x: Tensor, y: Tensor):
        self._count = len(x)
        self._x_mean, self._y_mean = x.mean(dim=0), y.mean(dim=0)
        centred = x - self._x_mean
        self._mean_variance = (centred.square().sum() / x.shape[1]).clamp(min=1e-12)
        self._variances, self._axes = _principal_axes(centred, _AXES)  # (A,) summed over rows; (C, A)
        self._along = (centred @ self._axes).T @ (y - self._y_mean)  # (A, F)

    def solved(self, penalties: Tensor) -> tuple[Tensor, Tensor]:
        """(C, F) weights and (F,) offset; penalties: one, or (F,), in mean variances of an axis."""
        weights = self._axes @ self._shrunk(penalties)
        return weights, self._y_mean - self._x_mean @ weights

    def reduced(self, penalties: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """The weights, in units of `scale`, as (C, R) times (R, F): the R directions along which most is told."""
        spreads = self._variances.sqrt()
        told = spreads[:, None] * self._shrunk(penalties) / scale / self._count**0.5  # (A, F), by usual activations
        directions = _principal(told @ told.T)[1][:, -_RANK:]  # (A, R)
        usual = torch.where(spreads > 1e-6 * spreads.max(), self._count**0.5 / spreads, 0.0)
        return self._axes @ (usual[:, None] * directions), directions.T @ told

    def _shrunk(self, penalties: Tensor) -> Tensor:
        return self._along / (self._variances[:, None] + penalties * self._mean_variance)


def _principal_axes(centred: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Of rows (n, C) the sums of squares (A,) along the A principal axes (C, A) of most, A at most `count`.

    From the scatter of channels or, where rows are fewer, from that of rows: both have the same values above 0.
    """
    if len(centred) >= centred.shape[1]:
        variances, axes = _principal(centred.T @ centred)
        return variances[-count:].clamp(min=0), axes[:, -count:]
    variances, mixtures = _principal(centred @ centred.T)
    variances, axes = variances[-count:].clamp(min=0), centred.T @ mixtures[:, -count:]
    lengths = axes.norm(dim=0)
    return variances, torch.where(lengths > 1e-4 * lengths.max(), axes / lengths, 0.0)


def _principal(scatter: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors as columns. In float64: where there are fewer photos than channels most
    values are 0, and in float32 the decomposition does not always converge.
    """
    values, vectors = torch.linalg.eigh(scatter.double())
    return values.to(scatter.dtype), vectors.to(scatter.dtype)


def _spans(counts: Sequence[int]) -> list[tuple[int, int]]:
    """(first, how many) of each group."""
    return list(zip(np.cumsum([0, *counts[:-1]]).tolist(), counts, strict=True))


def _explained(
    x: Tensor, y: Tensor, weights: Tensor, offset: Tensor, scale: Tensor, group_counts: Sequence[int]
) -> Tensor:
    """(groups,) the share of the variance, in units of `scale`, that is explained."""
    if not len(y):
        return torch.zeros(len(group_counts), dtype=x.dtype)
    left = ((y - x @ weights - offset) / scale).square().mean(dim=0)
    whole = (y / scale).var(dim=0, correction=0)
    return torch.stack(
        [
            1 - a.sum() / b.sum().clamp(min=1e-12)
            for a, b in zip(left.split(group_counts), whole.split(group_counts), strict=True)
        ]
    )


def _in_parts(answers: Tensor) -> Tensor:
    """(B, H, W, C) → (B, parts · C) float32: means in 3 × 3 parts, or in fewer where there are fewer positions."""
    height, width = answers.shape[1:3]
    averaging = _averaging(height, width, answers.dtype, answers.device)
    return (averaging @ answers.flatten(1, 2)).float().flatten(1)


@lru_cache(maxsize=256)
def _averaging(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(parts, H · W): each row is one part's mean over the positions that it holds."""
    return torch.kron(_shares(height), _shares(width)).to(device, dtype)


def _shares(count: int) -> Tensor:
    """(parts, count): each row takes the mean of an equal share of `count` positions, those at its ends in part."""
    parts = min(_ACROSS, count)
    bounds = torch.linspace(0, count, parts + 1)
    positions = torch.arange(count)
    overlap = torch.minimum(bounds[1:, None], positions + 1) - torch.maximum(bounds[:-1, None], positions)
    return overlap.clamp(min=0) * parts / count


def _decorrelating(colour: ColourStatistics, channel_count: int) -> tuple[Tensor, Tensor]:
    """(channels,) mean colour and (channels, channels): pixels less it → the photos' principal colours, variance 1."""
    mean, covariance = colour.in_channels(channel_count)
    variances, colours = np.linalg.eigh(covariance)
    variances = np.maximum(variances, max(1e-3 * variances.max(), 1e-6))
    unmixing = (colours / np.sqrt(variances))[:, ::-1].T
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(unmixing.copy(), dtype=torch.float32)


def _contrast(values: Tensor, mean: Tensor) -> Tensor:
    return torch.sqrt((values - mean[:, :, None, None]).square().mean(dim=(2, 3)) + 1e-4)
