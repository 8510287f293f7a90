"""What is measured once, on the first photos of the frozen order, and then holds for the whole atlas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from actatlas.collect.agreement import attributions_agree
from actatlas.collect.decoding import Decoder, Prepared, none_usable
from actatlas.collect.sampling import inner_positions, lots_of
from actatlas.collect.settings import CollectSettings
from actatlas.errors import NetworkError
from actatlas.networks.memory import kept_memory
from actatlas.networks.precision import LEAST_COSINE
from actatlas.progress import Progress
from actatlas.values import ColourStatistics, ImageSource, Precision

if TYPE_CHECKING:
    from actatlas.networks import Network

PILOT_PHOTOS = 64
# A patch is the smallest centred square with this share of the squared input gradient.
PATCH_ENERGY = 0.9
_BATCH = 8
_AGREEMENT_PHOTOS = 16


@dataclass(frozen=True)
class Pilot:
    """Measured once and frozen in the atlas.

    precision: what the network computes in: "float32", "bfloat16" or "float16"
    agreement: layer → cosine of that precision's activations to float32's, centred on the pilot's mean; 1 for float32
    patch_px: layer → side, in input pixels, of the part of a photo that an activation answers to
    windows: layer → side of that patch in positions of the map, odd, at least 3: what patch replacement replaces
    map_sizes: layer → (H, W)
    baselines: layer → (C,) float32, mean over the inner positions of the pilot's maps
    colour: of the pilot's inputs
    placed_by: layers by whose maps the positions were chosen, before others were added; empty: by all of them
    """

    precision: Precision
    agreement: Mapping[str, float]
    patch_px: Mapping[str, int]
    windows: Mapping[str, int]
    map_sizes: Mapping[str, tuple[int, int]]
    baselines: Mapping[str, np.ndarray]
    colour: ColourStatistics
    placed_by: tuple[str, ...] = ()

    @property
    def placing_sizes(self) -> list[tuple[int, int]]:
        """(H, W) of the maps by which positions are chosen."""
        return [self.map_sizes[layer] for layer in self.placed_by or self.map_sizes]

    def with_more_layers(self, more: Pilot) -> Pilot:
        """Of the layers of both; positions and colour stay as they are."""
        return replace(
            self,
            agreement={**self.agreement, **more.agreement},
            patch_px={**self.patch_px, **more.patch_px},
            windows={**self.windows, **more.windows},
            map_sizes={**self.map_sizes, **more.map_sizes},
            baselines={**self.baselines, **more.baselines},
            placed_by=self.placed_by or tuple(self.map_sizes),
        )


def run_pilot(
    network: Network,
    source: ImageSource,
    layers: Sequence[str],
    settings: CollectSettings,
    progress: Progress,
    starts: Sequence[int] = (0,),
    fixed: Precision | None = None,
) -> Pilot:
    """Reads the first 64 readable photos of the frozen order, a first crop of each.

    starts: as Collector takes them; fixed: the precision, where layers are added to others that have one
    Raises NoImages if none can be read, NetworkError for a layer that the fixed precision does not suit, and the
    network's errors for one that cannot be used.
    """
    return pilot_on(network, _first_inputs(network, source, settings, starts), layers, settings, progress, fixed)


@kept_memory()
def pilot_on(
    network: Network,
    inputs: np.ndarray,
    layers: Sequence[str],
    settings: CollectSettings,
    progress: Progress,
    fixed: Precision | None = None,
) -> Pilot:
    """The same of inputs that were read already: (n, H, W, channels) uint8."""
    pixels = to_pixels(inputs).to(network.device)
    with progress.stage("Measuring the layers on a few photos", len(inputs), "photos") as tick:
        precision, agreement = network.resolve_precision(pixels, layers, fixed or settings.precision)
        sums: dict[str, torch.Tensor] = {}
        energies: dict[str, torch.Tensor] = {}
        map_sizes: dict[str, tuple[int, int]] = {}
        for start in range(0, len(pixels), _BATCH):
            batch = pixels[start : start + _BATCH].clone().requires_grad_()
            maps = network.activations(network.normalize(batch), layers)
            for number, layer in enumerate(layers):
                height, width = maps[layer].shape[2:]
                map_sizes[layer] = (height, width)
                mean_sum = _inner(maps[layer].detach()).double().mean(dim=(2, 3)).sum(dim=0)
                sums[layer] = sums.get(layer, 0) + mean_sum.cpu()
                energy = _input_energy(maps[layer], batch, start, is_last=number == len(layers) - 1)
                energies[layer] = energies.get(layer, 0) + energy
            tick(len(batch))
    patch_px = {layer: _patch_px(energies[layer].numpy(), map_sizes[layer]) for layer in layers}
    pilot = Pilot(
        precision=precision,
        agreement=agreement,
        patch_px=patch_px,
        windows={layer: _window(patch_px[layer], map_sizes[layer], inputs.shape[1:3]) for layer in layers},
        map_sizes=map_sizes,
        baselines={layer: (sums[layer] / len(pixels)).numpy().astype(np.float32) for layer in layers},
        colour=_colour(inputs),
    )
    if fixed is None:
        return pilot if _suits_attributions(network, pilot, pixels, settings) else _in_float32(pilot)
    is_near = settings.precision != "auto" or min(agreement.values()) >= LEAST_COSINE
    if not (is_near and _suits_attributions(network, pilot, pixels, settings)):
        raise NetworkError(
            f"{', '.join(layers)} cannot be added: the atlas was collected in {fixed}, which does not give "
            f"{'this layer' if len(layers) == 1 else 'these layers'} as float32 does; build another with --precision "
            "float32"
        )
    return pilot


def to_pixels(inputs: np.ndarray) -> torch.Tensor:
    """(B, H, W, channels) uint8 → (B, channels, H, W) float32 in [0, 1], channels_last, as `network.pixels` has it."""
    return torch.from_numpy(inputs).permute(0, 3, 1, 2).float().div_(255)


def _first_inputs(
    network: Network, source: ImageSource, settings: CollectSettings, starts: Sequence[int]
) -> np.ndarray:
    """(≤ 64, H, W, channels) uint8."""
    decoder = Decoder(source, network.preprocessing, settings)
    order = np.concatenate(lots_of(source, settings.seed, starts))
    found: list[Prepared] = []
    first_unusable: Prepared | None = None
    with closing(decoder.run_ahead(order.tolist(), photos_ahead=PILOT_PHOTOS)) as photos:
        for photo in photos:
            if photo.reason is None:
                found.append(photo)
            elif first_unusable is None:
                first_unusable = photo
            if len(found) == PILOT_PHOTOS:
                break
    if not found:
        raise none_usable(source, network.preprocessing, first_unusable, len(order))
    return np.stack([photo.inputs[0] for photo in found])


def _suits_attributions(network: Network, pilot: Pilot, pixels: torch.Tensor, settings: CollectSettings) -> bool:
    """Only asked of a precision that was chosen here: one that the user named is the user's."""
    method = settings.attribution
    if settings.precision != "auto" or pilot.precision == "float32" or method is None or network.class_count is None:
        return True
    few = pixels[:_AGREEMENT_PHOTOS]
    sizes = pilot.placing_sizes
    positions = np.concatenate([inner_positions(sizes, 1, settings.seed, photo, 0) for photo in range(len(few))])
    return attributions_agree(network, pilot, few, positions, method)


def _in_float32(pilot: Pilot) -> Pilot:
    return replace(pilot, precision="float32", agreement=dict.fromkeys(pilot.map_sizes, 1.0))


def _inner(maps: torch.Tensor) -> torch.Tensor:
    """The maps without first and last row and column, where there are at least three."""
    top, left = (int(size >= 3) for size in maps.shape[2:])
    return maps[:, :, top : maps.shape[2] - top, left : maps.shape[3] - left]


def _input_energy(maps: torch.Tensor, pixels: torch.Tensor, first: int, is_last: bool) -> torch.Tensor:
    """(H, W) float64: Σ over photos and channels c of (∂h_c/∂x)², h the activation at the central position.

    By random signs s (Hutchinson 1989): E[(∂ s·h/∂x)²] = Σ_c (∂h_c/∂x)², one backward pass a photo instead of one a
    channel. The pass over 64 photos averages the rest.
    """
    central = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]  # (B, C)
    signs = np.random.Generator(np.random.Philox(key=first)).integers(0, 2, tuple(central.shape)) * 2 - 1
    projected = (central * torch.as_tensor(signs, dtype=central.dtype, device=central.device)).sum()
    (gradient,) = torch.autograd.grad(projected, pixels, retain_graph=not is_last)
    return gradient.double().square().sum(dim=(0, 1)).cpu()  # (H, W)


def _patch_px(energy: np.ndarray, map_size: tuple[int, int]) -> int:
    """Side of the smallest square around the central position's centre that holds 90% of `energy` (H, W), in pixels."""
    height, width = energy.shape
    if map_size == (1, 1) or not energy.sum() > 0:  # a vector answers to everything; no gradient says nothing
        return max(height, width)
    centre = [(cells // 2 + 0.5) * extent / cells for cells, extent in zip(map_size, energy.shape, strict=True)]
    rows, columns = (np.abs(np.arange(n) + 0.5 - c) for n, c in zip(energy.shape, centre, strict=True))
    distance = np.maximum(rows[:, None], columns[None, :]).ravel()
    order = np.argsort(distance, kind="stable")
    held = np.cumsum(energy.ravel()[order])
    reach = distance[order][np.searchsorted(held, PATCH_ENERGY * held[-1])]
    return int(min(np.ceil(2 * reach + 1), max(height, width)))  # a pixel at distance d ends at d + 1/2


def _window(patch_px: int, map_size: tuple[int, int], input_px: Sequence[int]) -> int:
    """The odd number of positions nearest to the patch's side, at least 3: with fewer, what lies beside fills in."""
    stride = max(pixels / cells for pixels, cells in zip(input_px, map_size, strict=True))
    return 2 * max(1, round((patch_px / stride - 1) / 2)) + 1


def _colour(inputs: np.ndarray) -> ColourStatistics:
    """Over all pixels; a grey network's one channel counts three times."""
    channel_count = max(inputs.shape[3], 3)
    values = np.broadcast_to(inputs, (*inputs.shape[:3], channel_count)).reshape(-1, channel_count) / 255.0
    mean = values.mean(axis=0)
    covariance = (values.T @ values) / len(values) - np.outer(mean, mean)
    return ColourStatistics(mean=mean.astype(np.float32), covariance=covariance.astype(np.float32))
