"""A light copy answers and leads back nearly as the network does, and copies may run side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from actatlas.networks import Network, lightened, load_network, plain_paths
from actatlas.networks.lightening import _has_bfloat16, _Strided
from actatlas.preprocessing import Preprocessing

LAYERS = ("blocks.3.expanded", "blocks.11.expanded")


def _gradient(network: Network, pixels: torch.Tensor) -> torch.Tensor:
    pixels = pixels.clone().requires_grad_()
    maps = network.activations(network.normalize(pixels), LAYERS)
    return torch.autograd.grad(sum(maps[name].float()[:, :, 2, 2].square().sum() for name in LAYERS), pixels)[0]


def test_a_light_copy_answers_and_leads_back_nearly_as_the_network(network: Network):
    light = lightened(network, LAYERS)
    pixels = torch.rand((4, 3, 80, 80), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = (n.activations(n.normalize(pixels), LAYERS) for n in (network, light))
    for name in LAYERS:
        assert _cosine(one[name], other[name]) > 0.99
    assert _cosine(_gradient(network, pixels), _gradient(light, pixels)) > 0.9
    assert next(network.module.parameters()).dtype == torch.float32


@pytest.mark.parametrize("shape", [{}, {"padding": 1}, {"padding": (0, 2)}, {"dilation": 2}, {"stride": (3, 2)}])
@pytest.mark.parametrize(("side", "groups"), [(11, 8), (12, 8), (11, 2), (12, 4)])
def test_a_strided_convolution_leads_back_to_every_pixel(side: int, groups: int, shape: dict):
    torch.manual_seed(0)
    convolution = nn.Conv2d(8, 16, 3, groups=groups, **{"stride": 2, **shape}).requires_grad_(False)
    x = torch.rand(2, 8, side, side, requires_grad=True)
    (exact,) = torch.autograd.grad(convolution(x).square().sum(), x)
    (other,) = torch.autograd.grad(_Strided(convolution)(x).square().sum(), x)
    assert torch.allclose(exact, other, atol=1e-5)


def test_what_bfloat16_cannot_tell_stays_in_float32():
    class Fine(nn.Module):
        """Its layer is what a thousandth of the input's brightness makes of a large number."""

        def __init__(self):
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer((1000 + x) - 1000).mean(dim=(2, 3))

    module = nn.Sequential(nn.Conv2d(3, 8, 1), Fine())
    network = load_network(module, preprocessing=Preprocessing((32, 32), 32))
    assert lightened(network, ["1.layer"]).dtype == torch.float32
    usual = torch.bfloat16 if _has_bfloat16(torch.device("cpu")) else torch.float32
    assert lightened(network, ["0"]).dtype == usual


def test_a_light_copy_is_made_once_until_a_weight_changes():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    network = load_network(module, preprocessing=Preprocessing((32, 32), 32))
    light = lightened(network, ["2", "1"])
    assert lightened(network, ["1", "2", "2"]) is light
    assert lightened(network, ["2"]) is not light
    assert lightened(network, ["1", "2"]) is light
    network.module[0].weight.mul_(2)
    written_to = lightened(network, ["1", "2"])
    assert written_to is not light
    network.module[0].weight = nn.Parameter(network.module[0].weight.clone(), requires_grad=False)
    assert lightened(network, ["1", "2"]) is not written_to
    for layer in "012":
        lightened(network, [layer])
    assert len(network.light_copies) == 4
    lightened(network, ["0", "1"])
    assert ("1", "2") not in network.light_copies  # the one that was not asked for longest
    assert len(network.light_copies) == 4


def test_copies_share_weights_and_may_run_side_by_side(network: Network):
    copies = [network.sharing_weights(network.device) for _ in range(3)]
    first = next(network.module.parameters())
    assert all(next(copy.module.parameters()).data_ptr() == first.data_ptr() for copy in copies)
    batches = [torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(k)) for k in range(3)]
    alone = [_gradient(network, batch) for batch in batches]
    with plain_paths(), ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            together = list(pool.map(_gradient, copies, batches))
            assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in zip(alone, together, strict=True))


def _cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.double().flatten(), other.double().flatten(), dim=0))
