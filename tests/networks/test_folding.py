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


class Padded(nn.Conv2d):
    """A convolution with a module of its own for padding, as some packages have it."""

    def __init__(self, padding: tuple[int, int, int, int], groups: int):
        super().__init__(4, 4, 3, stride=2, groups=groups)
        self.own_padding = nn.ZeroPad2d(padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.own_padding(x))


class Padding(nn.Module):
    def __init__(self, padding: tuple[int, int, int, int], groups: int):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.padded = Padded(padding, groups)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.padded(self.norm(self.first(x)))).mean(dim=(2, 3))


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("padding", [(1, 1, 1, 1), (0, 1, 0, 1), (1, 0, 2, 1), (0, 1, 1, 1), (0, 3, 0, 3)])
def test_convolutions_pad_themselves_and_give_the_same(padding, groups):
    torch.manual_seed(0)
    plain = load_network(Padding(padding, groups), preprocessing=Preprocessing((33, 30), 33))
    other = folded(plain, ["relu"])
    inputs = plain.normalize(torch.rand(2, 3, 33, 30))
    one, two = (each.activations(inputs, ["relu"])["relu"] for each in (plain, other))
    assert torch.allclose(one, two, atol=1e-5)
    paddings = [inner for inner in other.module.modules() if isinstance(inner, nn.ZeroPad2d)]
    assert len(paddings) == (padding == (0, 3, 0, 3))


def test_non_linearities_change_what_convolutions_gave_unless_that_is_wanted():
    plain = network(uses_raw=False)
    assert folded(plain, ["relu"], joins=False).module.relu.inplace
    assert not folded(plain, ["norm"], joins=False).module.relu.inplace
    assert not plain.module.relu.inplace


class Branching(Normed):
    """The normalised output is used before and after the non-linearity."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.convolution(x))
        rectified = self.relu(x)
        return (x + rectified).mean(dim=(2, 3))


def test_what_is_used_beside_the_non_linearity_is_not_changed():
    torch.manual_seed(0)
    plain = load_network(Branching(uses_raw=False), preprocessing=Preprocessing((32, 32), 32))
    other = folded(plain, ["relu"])
    assert isinstance(other.module.norm, nn.Identity) and not other.module.relu.inplace
    inputs = plain.normalize(torch.rand(2, 3, 32, 32))
    assert torch.allclose(plain.logits(inputs), other.logits(inputs), atol=1e-5)
