"""Patches on photos by a part of the early maps: the same logits as whole passes, whatever the network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from actatlas.confusions.pasting import CORNERS, logits_of, pasted
from actatlas.confusions.splicing import Splicing
from actatlas.networks import Network, folded, lightened, load_network
from actatlas.preprocessing import Preprocessing


def _seeded(make: Callable[[], nn.Module], input_px: tuple[int, int]) -> Network:
    torch.manual_seed(0)
    return Network(make(), Preprocessing(input_px, None, mean=(0.5,) * 3, std=(0.25,) * 3))


def _convolutions(padding: int, gate: nn.Module | None = None) -> nn.Module:
    """Three strided convolutions, and a head that tells where things are."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=padding), nn.ReLU(), gate or nn.Identity(),
        nn.Conv2d(6, 8, 5, stride=2, padding=2 * padding), nn.ReLU(),
        nn.Conv2d(8, 12, 3, stride=2, padding=padding), nn.ReLU(),
        nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(108, 7),
    )  # fmt: skip


class _Gate(nn.Module):
    """Everything answers to everything from here on, as behind squeeze and excitation."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(3 * x.mean(dim=(2, 3), keepdim=True))


class _PastTheLayers(nn.Module):
    """The input's own mean takes a way past all layers."""

    def __init__(self):
        super().__init__()
        self.inner = _convolutions(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) + x.mean(dim=(1, 2, 3))[:, None]


def _spliced_and_whole(network: Network, patch_px: tuple[int, int]) -> tuple[Tensor, Tensor, Splicing]:
    """(4 corners · 5, classes) each; five photos, one of them twice, each with a patch of its own."""
    random = torch.Generator().manual_seed(1)
    photos = torch.rand(4, 3, *network.preprocessing.input_px, generator=random)
    patches = torch.rand(5, 3, *patch_px, generator=random)
    rows, splicing = [2, 0, 1, 2, 3], Splicing(network)
    backdrops = splicing.on(photos)
    spliced = [backdrops.logits(rows, patches, corner) for corner in CORNERS]
    whole = [logits_of(network, pasted(photos[rows], patches, corner)) for corner in CORNERS]
    return torch.cat(spliced), torch.cat(whole), splicing


def _spliced_count(splicing: Splicing) -> int:
    return sum(window is not None for window in splicing._windows.values())


@pytest.mark.parametrize("patch_px", [(89, 89), (53, 53), (40, 71)])
def test_the_packaged_network_says_the_same_of_a_part_as_of_the_whole(network: Network, patch_px: tuple[int, int]):
    quick = folded(network, ["blocks.15.expanded"])
    spliced, whole, splicing = _spliced_and_whole(quick, patch_px)
    assert _spliced_count(splicing) == len(CORNERS)
    assert (spliced - whole).abs().max() < 1e-4 * whole.abs().max()


def test_its_light_copy_says_nearly_the_same(network: Network):
    quick = lightened(network, ["blocks.15.expanded"])
    spliced, whole, splicing = _spliced_and_whole(quick, (89, 89))
    assert _spliced_count(splicing) == len(CORNERS)
    assert (spliced - whole).abs().mean() < 0.02 * whole.std()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "vit_b_32"])
def test_quick_copies_of_other_networks(name: str):
    """Non-linearities that work in place change what a layer gave; a transformer takes no crop. Seeded weights."""
    untrained = load_network(f"torchvision:{name}@none")
    quick = lightened(untrained, [untrained.layers[-1].name])
    spliced, whole, _ = _spliced_and_whole(quick, (89, 89))
    assert (spliced - whole).abs().max() <= 0.05 * whole.abs().max()


@pytest.mark.parametrize("input_px", [(96, 128), (97, 131), (64, 61)])
def test_inputs_of_any_size(input_px: tuple[int, int]):
    spliced, whole, splicing = _spliced_and_whole(_seeded(lambda: _convolutions(1), input_px), (17, 22))
    assert _spliced_count(splicing) == len(CORNERS)
    assert torch.allclose(spliced, whole, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "is_spliced"),
    [
        pytest.param(lambda: _convolutions(0), None, id="without padding"),
        pytest.param(lambda: _convolutions(1, _Gate()), True, id="all see all behind the first layer"),
        pytest.param(_PastTheLayers, False, id="a way past the layers"),
    ],
)
def test_what_a_crop_cannot_tell_is_seen_in_whole_passes(make: Callable[[], nn.Module], is_spliced: bool | None):
    spliced, whole, splicing = _spliced_and_whole(_seeded(make, (96, 96)), (20, 20))
    assert torch.allclose(spliced, whole, atol=1e-5)
    if is_spliced is not None:
        assert _spliced_count(splicing) == (len(CORNERS) if is_spliced else 0)


def test_a_patch_over_everything_is_seen_in_whole_passes():
    spliced, whole, splicing = _spliced_and_whole(_seeded(lambda: _convolutions(1), (64, 64)), (64, 64))
    assert _spliced_count(splicing) == 0
    assert torch.equal(spliced, whole)
