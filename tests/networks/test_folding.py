"""A folded network is the same function, and one that would not be is left alone."""

import pytest
import torch
from torch import nn

from actatlas.networks import folded, load_network
from actatlas.preprocessing import Preprocessing


class Normed(nn.Module):
    """uses_raw: the convolution's own output is used beside the normalised one, by code between modules."""

    def __init__(self, uses_raw: bool):
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.head = nn.Linear(8, 4)
        self.uses_raw = uses_raw
        generator = torch.Generator().manual_seed(0)
        for value in (self.norm.running_mean, self.norm.running_var, self.norm.weight.data, self.norm.bias.data):
            value.copy_(torch.rand(8, generator=generator) + 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raw = self.convolution(x)
        x = self.relu(self.norm(raw))
        return self.head((x + raw if self.uses_raw else x).mean(dim=(2, 3)))


def network(uses_raw: bool):
    torch.manual_seed(0)
    return load_network(Normed(uses_raw), preprocessing=Preprocessing((32, 32), 32))


@pytest.mark.parametrize("layer", ["norm", "relu"])
def test_a_folded_network_gives_the_same_layers_and_logits_without_the_normalisation(layer):
    plain = network(uses_raw=False)
    other = folded(plain, [layer])
    assert isinstance(other.module.norm, nn.Identity) and isinstance(plain.module.norm, nn.BatchNorm2d)
    inputs = plain.normalize(torch.rand(2, 3, 32, 32))
    one, two = plain.record(inputs, [layer]), other.record(inputs, [layer])
    assert torch.allclose(one.maps[layer], two.maps[layer], atol=1e-5)
    assert torch.allclose(one.logits, two.logits, atol=1e-5)


def test_a_convolution_that_is_wanted_itself_is_not_folded():
    plain = network(uses_raw=False)
    assert folded(plain, ["convolution"]) is plain


def test_a_convolution_whose_output_is_used_elsewhere_is_found_out():
    plain = network(uses_raw=True)
    assert folded(plain, ["relu"]) is plain
