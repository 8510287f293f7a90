"""What a logit loses when an activation goes: each method against its definition, worked out the slow way."""

import pytest
import torch
from torch import Tensor, nn

from actatlas.collect import attribute
from actatlas.errors import NetworkError
from actatlas.networks import Network, load_network
from actatlas.preprocessing import Preprocessing
from actatlas.values import ATTRIBUTION_METHODS

POSITIONS = torch.tensor([[0.3, 0.7], [0.99, 0.0]])


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.early, self.act = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU()
        self.late, self.pool = nn.Conv2d(8, 8, 3, padding=1), nn.MaxPool2d(2)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.early(x))
        return self.head(self.pool(self.norm(self.late(x)).tanh()).mean(dim=(2, 3)))


class Attending(nn.Module):
    """Tokens behind a class token, through fused attention of both kinds."""

    def __init__(self):
        super().__init__()
        self.embed, self.act = nn.Conv2d(3, 16, 8, stride=8), nn.GELU()
        self.attention, self.encoder = (
            nn.MultiheadAttention(16, 2, batch_first=True),
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
        )
        self.scaled, self.head = nn.Linear(16, 16), nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = self.act(torch.cat([torch.ones_like(x[:, :1]), x], dim=1))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = nn.functional.scaled_dot_product_attention(x, self.scaled(x), x)
        return self.head(self.encoder(x)[:, 0])


class NoForwardRule(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return 2 * x * gradient


class Custom(Small):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(NoForwardRule.apply(self.late(self.act(self.early(x)))).mean(dim=(2, 3)))


class Reusing(Small):
    """What was kept of one pass may not be taken for granted: weights of two calls, of one, and outputs overwritten."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.early(x))
        x = self.late(self.late(x).tanh()).tanh()
        for scale in (1.5, -2.0):
            x = nn.functional.conv2d(x, self.late.weight * scale).tanh()
        x = self.norm(x).add_(1.0)
        return self.head(x.square().mean(dim=(2, 3)))


def network_of(module: nn.Module) -> Network:
    torch.manual_seed(0)
    return load_network(module, preprocessing=Preprocessing(input_px=(32, 32), resize_px=32))


def recorded(network: Network, layer: str, side: int = 32, for_derivatives: bool = False):
    torch.manual_seed(1)
    with torch.no_grad():
        return network.record(torch.randn(2, 3, side, side), [layer], for_derivatives)


def by_reverse_mode(recording, layer: str, classes: range) -> Tensor:
    """(B, classes): h · ∂logit_c/∂h at the positions, one backward pass a class."""
    maps = recording.maps[layer].detach().clone().requires_grad_()
    logits = recording.replay(layer, maps)
    rows = (POSITIONS * torch.tensor(maps.shape[2:])).long()
    found = []
    for c in classes:
        (gradient,) = torch.autograd.grad(logits[:, c].sum(), maps, retain_graph=True)
        product = (gradient * maps).sum(dim=1)  # (B, H, W)
        found.append(product[torch.arange(2), rows[:, 0], rows[:, 1]])
    return torch.stack(found, dim=1).detach()


def worst(ours: Tensor, exact: Tensor) -> float:
    """max |difference| / max |value|, of the worst activation."""
    return float(((ours - exact).abs().amax(dim=1) / exact.abs().amax(dim=1)).max())


CASES = [(Small, "act"), (Small, "late"), (Attending, "act"), (Custom, "act"), (Reusing, "act"), (Reusing, "early")]


@pytest.mark.parametrize("for_derivatives", [False, True])
@pytest.mark.parametrize(("make", "layer"), CASES)
def test_the_gradient_is_that_of_one_backward_pass_a_class(make, layer, for_derivatives):
    recording = recorded(network_of(make()), layer, for_derivatives=for_derivatives)
    with torch.no_grad():
        ours = attribute(recording, layer, POSITIONS, "gradient", torch.zeros(1))
    exact = by_reverse_mode(recording, layer, range(6))
    assert ours.dtype == torch.float32 and exact.abs().amax(dim=1).min() > 0
    assert worst(ours, exact) <= 1e-4
    assert worst(ours.flip(0), exact) > 0.1


@pytest.mark.parametrize("layer", ["blocks.4.expanded", "blocks.11.expanded", "head"])
def test_the_packaged_networks_gradient_is_that_of_one_backward_pass_a_class(network, layer):
    recording = recorded(network, layer, side=96, for_derivatives=True)
    with torch.no_grad():
        ours = attribute(recording, layer, POSITIONS, "gradient", torch.zeros(1))
    classes = range(0, 1000, 125)
    exact = by_reverse_mode(recording, layer, classes)
    scale = ours.abs().amax(dim=1, keepdim=True)
    assert ours.shape == (2, 1000)
    assert float(((ours[:, list(classes)] - exact).abs() / scale.clamp(min=1e-12)).max()) <= 1e-4


@pytest.mark.parametrize(("make", "layer"), [(Small, "act"), (Attending, "act")])
def test_removal_and_mean_replacement_are_what_the_whole_network_loses(make, layer):
    network = network_of(make())
    recording = recorded(network, layer)
    baseline = torch.linspace(-1, 1, recording.maps[layer].shape[1])
    torch.manual_seed(1)
    inputs = torch.randn(2, 3, 32, 32)
    prefix = recording._outputs[layer].shape[1] - recording.maps[layer][0, 0].numel() if make is Attending else 0

    def logits_with(value: Tensor) -> Tensor:
        def replaced(_module, _inputs, output):
            output = output.clone()
            size = recording.maps[layer].shape[2:]
            for k, position in enumerate(POSITIONS):
                row, column = (int(p * s) for p, s in zip(position, size, strict=True))
                if make is Attending:
                    output[k, prefix + row * size[1] + column] = value
                else:
                    output[k, :, row, column] = value
            return output

        handle = network.module.get_submodule(layer).register_forward_hook(replaced)
        try:
            return network.module(inputs)
        finally:
            handle.remove()

    with torch.no_grad():
        plain = network.module(inputs)
        for method, value in (("mean-replacement", baseline), ("removal", torch.zeros_like(baseline))):
            ours = attribute(recording, layer, POSITIONS, method, baseline)
            exact = plain - logits_with(value)
            assert exact.abs().max() > 1e-4
            torch.testing.assert_close(ours, exact, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("make", "layer"), [(Small, "act"), (Attending, "act")])
def test_patch_replacement_is_what_is_lost_without_the_positions_around(make, layer):
    recording = recorded(network_of(make()), layer)
    maps = recording.maps[layer]
    baseline = torch.linspace(-1, 1, maps.shape[1])
    (down, across), (last, first) = (
        [int(p * s) for p, s in zip(position, maps.shape[2:], strict=True)] for position in POSITIONS
    )
    with torch.no_grad():
        for window, reach in ((1, 0), (3, 1), (5, 2)):
            other = maps.clone()
            for row in range(max(down - reach, 0), min(down + reach + 1, maps.shape[2])):
                for column in range(max(across - reach, 0), min(across + reach + 1, maps.shape[3])):
                    other[0, :, row, column] = baseline
            other[1, :, last - reach :, : first + reach + 1] = baseline[:, None, None]  # in a corner
            ours = attribute(recording, layer, POSITIONS, "patch-replacement", baseline, window)
            exact = recording.logits - recording.replay(layer, other)
            assert exact.abs().max() > 1e-4
            torch.testing.assert_close(ours, exact)


def test_an_activation_that_is_the_baseline_loses_nothing():
    recording = recorded(network_of(Small()), "act")
    h = recording.maps["act"][0, :, 4, 11]  # where the first position falls
    with torch.no_grad():
        found = attribute(recording, "act", POSITIONS, "mean-replacement", h)
    assert found[0].abs().max() < 1e-6 < found[1].abs().max()


def test_a_vector_layer_is_attributed_as_a_whole():
    class Dense(Small):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(8, 6)

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(self.early(x)).mean(dim=(2, 3))
            return self.hidden(self.norm(x[:, :, None, None])[:, :, 0, 0]) * 1 + self.head(x) * 0

    network = network_of(Dense())
    recording = recorded(network, "hidden")
    with torch.no_grad():
        gradient = attribute(recording, "hidden", POSITIONS, "gradient", torch.zeros(6))
        removal = attribute(recording, "hidden", POSITIONS, "removal", torch.zeros(6))
    torch.testing.assert_close(gradient, recording.maps["hidden"][:, :, 0, 0])  # the logits are this layer
    torch.testing.assert_close(removal, gradient)


class Pooling(Small):
    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.act(self.early(x)), 3, stride=2, padding=1)
        return self.head(self.late(x).mean(dim=(2, 3)))


class Smoothed(Pooling):
    """The same with the pooling whose slope smooth-gradient takes."""

    def forward(self, x: Tensor) -> Tensor:
        x, window = self.act(self.early(x)), {"kernel_size": 3, "stride": 2, "padding": 1}
        square, size = nn.functional.avg_pool2d(x.square(), **window), nn.functional.avg_pool2d(x.abs(), **window)
        return self.head(self.late(square / (size + 0.01)).mean(dim=(2, 3)))


def test_the_smooth_gradient_is_that_of_the_smoothed_pooling():
    pooling, smoothed = (recorded(network_of(make()), "act") for make in (Pooling, Smoothed))
    with torch.no_grad():
        ours = attribute(pooling, "act", POSITIONS, "smooth-gradient", torch.zeros(8))
        plain = attribute(pooling, "act", POSITIONS, "gradient", torch.zeros(8))
    exact = by_reverse_mode(smoothed, "act", range(6))
    assert exact.abs().amax(dim=1).min() > 0
    assert worst(ours, exact) <= 1e-4
    assert worst(plain, exact) > 0.1


def test_without_a_forward_rule_smoothing_is_refused_and_the_plain_gradient_named():
    recording = recorded(network_of(Custom()), "act")
    with torch.no_grad(), pytest.raises(NetworkError, match="--attribution gradient"):
        attribute(recording, "act", POSITIONS, "smooth-gradient", torch.zeros(8))


def test_a_network_without_logits_has_no_attributions():
    recording = recorded(network_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())), "1")
    for method in ATTRIBUTION_METHODS:
        with pytest.raises(NetworkError, match="no logits"):
            attribute(recording, "1", POSITIONS, method, torch.zeros(8))
