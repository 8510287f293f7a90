"""A convolution that works out the non-linearity behind it gives the same, there and back."""

import pytest
import torch
from torch import nn

from actatlas.networks import folded, joining, lightened, load_network
from actatlas.networks.joining import Joined
from actatlas.preprocessing import Preprocessing


class Chain(nn.Module):
    def __init__(self, behind: nn.Module, has_norm: bool = True):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 16, 3, padding=1, groups=4)
        self.middle = nn.BatchNorm2d(16) if has_norm else nn.Sequential()
        self.behind = behind
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.behind(self.middle(self.second(self.norm(self.first(x))))).mean(dim=(2, 3)))


def network(behind: nn.Module, has_norm: bool = True):
    torch.manual_seed(0)
    return load_network(Chain(behind, has_norm), preprocessing=Preprocessing((32, 32), 32))


def joined(net) -> list[nn.Module]:
    return [inner for inner in net.module.modules() if isinstance(inner, Joined)]


KINDS = [
    nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.Hardtanh(-0.1, 0.3), nn.LeakyReLU(0.2), nn.SiLU(), nn.Hardswish(),
]  # fmt: skip


@pytest.mark.parametrize("has_norm", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_layer_and_logits_stay(kind, has_norm):
    plain = network(kind, has_norm)
    other = folded(plain, ["behind"])
    assert len(joined(other)) == joining._is_here() and not joined(plain)
    inputs = plain.normalize(torch.rand(4, 3, 32, 32))
    with torch.inference_mode():
        one, two = (each.activations(inputs, ["behind"])["behind"] for each in (plain, other))
    assert torch.allclose(one, two, atol=1e-5)
    assert torch.allclose(plain.logits(inputs), other.logits(inputs), atol=1e-5)


def test_derivatives_both_ways_are_those_of_one_after_the_other():
    plain = network(nn.ReLU6())
    other = folded(plain, ["behind"])
    inputs = plain.normalize(torch.rand(2, 3, 32, 32))
    found = []
    for each in (plain, other):
        x = inputs.clone().requires_grad_()
        each.module(x).square().sum().backward()
        found.append(x.grad)
    assert torch.allclose(*found, atol=1e-5) and found[0].abs().max() > 0
    with torch.no_grad():
        recordings = [each.record(inputs, ["norm"], for_derivatives=True) for each in (plain, folded(plain, ["norm"]))]
        slopes = [each.derivative("norm", each.maps["norm"].sign()) for each in recordings]
    assert torch.allclose(*slopes, atol=1e-5) and slopes[0].abs().max() > 0


class Doubled(nn.ReLU):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize("kind", [Doubled(), nn.GELU()], ids=repr)
def test_what_onednn_does_not_have_is_left_alone(kind):
    plain = network(kind)
    other = folded(plain, ["behind"])
    assert not joined(other) and isinstance(other.module.middle, nn.Identity)
    inputs = plain.normalize(torch.rand(2, 3, 32, 32))
    assert torch.allclose(plain.logits(inputs), other.logits(inputs), atol=1e-5)


def test_without_the_operation_the_network_is_folded_all_the_same(monkeypatch):
    monkeypatch.setattr(joining, "_is_here", lambda: False)
    plain = network(nn.ReLU())
    other = folded(plain, ["behind"])
    assert not joined(other) and isinstance(other.module.middle, nn.Identity) and other.module.behind.inplace


def test_joined_or_not_the_gradient_of_a_light_copy_is_the_networks():
    for kind in (nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.SiLU()):
        plain = network(kind)
        light = lightened(plain, ["behind"])
        inputs = plain.normalize(torch.rand(3, 3, 32, 32))
        found = []
        for each in (plain, light):
            x = inputs.clone().requires_grad_()
            answer = each.activations(x.to(each.dtype), ["behind"])["behind"].float()
            (gradient,) = torch.autograd.grad(answer.square().sum(), x)
            found.append(gradient.flatten())
        assert torch.cosine_similarity(*found, dim=0) > 0.98 and found[0].abs().max() > 0


class Changing(Chain):
    """Code between modules changes what the non-linearity gave, of which the way back needs to know."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.behind(self.middle(self.second(self.norm(self.first(x)))))
        x += 1.0
        return self.head((x * x).mean(dim=(2, 3)))


def test_what_is_changed_afterwards_is_not_joined_where_icons_are_painted():
    torch.manual_seed(0)
    plain = load_network(Changing(nn.ReLU6()), preprocessing=Preprocessing((32, 32), 32))
    light = lightened(plain, ["norm", "head"])
    inputs = plain.normalize(torch.rand(2, 3, 32, 32)).requires_grad_()
    answer = light.activations(inputs.to(light.dtype), ["head"])["head"].float()
    (gradient,) = torch.autograd.grad(answer.square().sum(), inputs)
    assert gradient.abs().max() > 0 and not joined(light)
