"""What photos look like where a layer answers like this: learnt from patches of photos, in seconds.

A ridge regression from the activation at a patch's centre to what the whole patch looks like: colours, contrast and
roughness, and the mean over positions of the network's own layers. It is linear, so for the mean of a cell's
activations it gives the mean of what was learnt of its members. No picture starts from it; pictures are drawn to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from actatlas.networks import Network, folded
from actatlas.values import ColourStatistics, Expectation

_BATCH = 16
_HELD_OUT = 5  # every fifth photo chooses the penalty
_PENALTIES = 0.3, 3.0, 30.0, 300.0  # in mean squared activations
_COARSE_PX = 8
_LEAST_SCALE = 0.05  # of the largest standard deviation in a group


class Looks:
    """Measures what pictures look like: (B, F), differentiable.

    The first group is of the pixels themselves, in decorrelated colours: mean, contrast of squares of 8 px, contrast,
    and mean difference of neighbours. Each further group is one layer's mean over positions.
    """

    def __init__(self, network: Network, layers: Sequence[str], colour: ColourStatistics, channel_count: int):
        self._network = network
        self.layers = tuple(layers)
        mean, unmixing = _decorrelating(colour, channel_count)
        self._mean, self._unmixing = mean.to(network.device), unmixing.to(network.device)
        self.group_counts = [4 * channel_count, *(network.layer(name).shape[0] for name in layers)]

    def of(self, pixels: Tensor) -> Tensor:
        """pixels: (B, channels, S, S) in [0, 1]."""
        maps = self._network.activations(self._network.normalize(self._network.fit(pixels)), self.layers)
        return self.of_maps(pixels, maps)

    def of_maps(self, pixels: Tensor, maps: dict[str, Tensor]) -> Tensor:
        """The same, of layers that were read already."""
        return torch.cat([self._of_pixels(pixels), *(maps[name].mean(dim=(2, 3)) for name in self.layers)], dim=1)

    def _of_pixels(self, pixels: Tensor) -> Tensor:
        y = torch.einsum("oc,bchw->bohw", self._unmixing, pixels - self._mean[:, None, None])
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
) -> Expectation:
    """From n activations and the patches around them.

    vectors: (n, C); patches: (n, S, S, channels) uint8, centred on the activation; groups: (n,) the photo of each
    mean: (C,) of the layer
    """
    layers = _look_layers(network, layer)
    looks = Looks(folded(network, layers), layers, colour, patches.shape[3])
    measured = []
    with torch.no_grad():
        for batch in torch.from_numpy(patches).split(_BATCH):
            pixels = batch.permute(0, 3, 1, 2).float().to(network.device) / 255
            measured.append(looks.of(pixels).cpu())
    found = torch.cat(measured).nan_to_num(0.0, 0.0, 0.0)  # (n, F)
    deviations = found.std(dim=0, correction=0)
    scale = torch.cat([d + _LEAST_SCALE * d.max().clamp(min=1e-6) for d in deviations.split(looks.group_counts)])
    centred = torch.from_numpy(np.asarray(vectors, np.float32) - np.asarray(mean, np.float32))  # (n, C)
    weights, offset, explained = _ridge(centred, found, scale, looks.group_counts, groups)
    return Expectation(
        layers=tuple(layers),
        group_counts=tuple(looks.group_counts),
        explained=tuple(explained),
        weights=weights.to(torch.float16).numpy(),
        offset=offset.float().numpy(),
        scale=scale.float().numpy(),
    )


def _look_layers(network: Network, layer: str) -> list[str]:
    """Over the depth, to the one behind the layer, and at least to two thirds of it: the rest costs time alone."""
    order = {info.name: i for i, info in enumerate(network.layers)}
    spread = network.spread_layers
    upto = sum(order[name] <= order.get(layer, len(order)) for name in spread) + 1
    return spread[: max(upto, -(-2 * len(spread) // 3))]


def _ridge(
    x: Tensor, y: Tensor, scale: Tensor, group_counts: list[int], photos: np.ndarray
) -> tuple[Tensor, Tensor, list[float]]:
    """(C, F) weights, (F,) offset, and the share of each group's variance that is explained on photos held out.

    Each group has its own penalty: the one that does best on every fifth photo, after learning from the others.
    """
    unique = np.unique(photos)
    is_held_out = torch.from_numpy(np.isin(photos, unique[::_HELD_OUT])) if len(unique) > 1 else torch.zeros(len(x)) > 0
    taught, tested = ~is_held_out, is_held_out
    trials = _fits(x[taught], y[taught])
    shares = torch.stack([_explained(x[tested], y[tested], *trial, scale, group_counts) for trial in trials])
    best = shares.argmax(dim=0)  # (groups,)
    fits = _fits(x, y)
    columns = [fits[k][0].split(group_counts, dim=1)[group] for group, k in enumerate(best.tolist())]
    weights = torch.cat(columns, dim=1)
    explained = [round(value, 4) for value in shares.max(dim=0).values.tolist()]
    return weights, y.mean(dim=0) - x.mean(dim=0) @ weights, explained


def _fits(x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(C, F) weights and (F,) offset for each penalty, from one decomposition."""
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    centred = x - x_mean
    variances, axes = torch.linalg.eigh(centred.T @ centred)
    along = axes.T @ (centred.T @ (y - y_mean))  # (C, F)
    mean_variance = variances.mean().clamp(min=1e-12)
    fits = []
    for penalty in _PENALTIES:
        weights = axes @ (along / (variances.clamp(min=0) + penalty * mean_variance)[:, None])
        fits.append((weights, y_mean - x_mean @ weights))
    return fits


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


def _decorrelating(colour: ColourStatistics, channel_count: int) -> tuple[Tensor, Tensor]:
    """(channels,) mean colour and (channels, channels): pixels less it → the photos' principal colours, variance 1."""
    mean, covariance = colour.in_channels(channel_count)
    variances, colours = np.linalg.eigh(covariance)
    variances = np.maximum(variances, max(1e-3 * variances.max(), 1e-6))
    unmixing = (colours / np.sqrt(variances))[:, ::-1].T
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(unmixing.copy(), dtype=torch.float32)


def _contrast(values: Tensor, mean: Tensor) -> Tensor:
    return torch.sqrt((values - mean[:, :, None, None]).square().mean(dim=(2, 3)) + 1e-4)
