"""A replay of the part behind a layer gives what the whole network gives with that layer replaced."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from actatlas.errors import NetworkError
from actatlas.networks import Network, load_network
from actatlas.networks.forms import from_maps
from actatlas.networks.running import watched
from actatlas.preprocessing import Preprocessing


def conv(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 8, 2), nn.ReLU(inplace=True), conv(8, 8), nn.ReLU(inplace=True), conv(8, 8, 2)
        )
        self.head = nn.Linear(8 * 8 * 8, 5)

    def forward(self, x):
        return self.head(F.relu(self.body(x)).view(len(x), -1))


class Skipping(nn.Module):
    """Its last step sees its first: memory must hold what lies far before the layer; one ReLU serves all; and code
    between the modules adds in place."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = conv(3, 8, 2), conv(8, 8), conv(8, 8)
        self.relu, self.head = nn.ReLU(), nn.Linear(16, 5)

    def forward(self, x):
        x = self.first(x)
        x += 1
        y = self.relu(x)
        z = self.relu(self.second(y))
        z = self.relu(self.third(z) + y)
        return self.head(torch.cat([z, x * 0.5], dim=1).mean(dim=(2, 3)))


class Nested(nn.Module):
    """A block that is called twice, its weights shared."""

    def __init__(self):
        super().__init__()
        self.stem, self.block, self.head = conv(3, 8, 2), nn.Sequential(conv(8, 8), nn.ReLU()), nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        x = self.block(x) + x
        x = self.block(x) + x
        return self.head(x.mean(dim=(2, 3)))


class Rescaling(nn.Module):
    """What a remembered module gave is changed by code before the layer, and used after it."""

    def __init__(self):
        super().__init__()
        self.first, self.layer, self.head = conv(3, 8), nn.ReLU(), nn.Linear(16, 5)

    def forward(self, x):
        x = self.first(x)
        kept = x * 2
        x.clamp_(-0.1, 0.1)
        return self.head(torch.cat([kept, self.layer(x - 0.05)], dim=1).mean(dim=(2, 3)))


SMALL = [
    (Plain, ["body.1", "body.3", "body"]),
    (Skipping, ["relu#1", "relu#2", "relu#3", "second"]),
    (Nested, ["block.1#1", "block.1#2", "block.0#2", "block#1"]),
    (Rescaling, ["layer"]),
]


def network_of(module: nn.Module, side: int = 32) -> Network:
    return load_network(module, preprocessing=Preprocessing(input_px=(side, side), resize_px=side))


def differences(network: Network, layers: list[str], side: int) -> dict[str, tuple[float, float]]:
    """Layer → relative (error of a replay against the whole pass, how much the replacement moved the logits)."""
    torch.manual_seed(1)
    inputs = torch.randn(2, 3, side, side)
    found = {}
    with torch.no_grad():
        recording = network.record(inputs, layers)
        plain = network.module(inputs.clone())
        scale = plain.abs().max()
        assert (recording.logits - plain).abs().max() <= 1e-4 * scale
        for layer in layers:
            maps = recording.maps[layer]
            other = maps * torch.rand_like(maps)

            def replaced(name: str, output: torch.Tensor, other=other) -> torch.Tensor:
                return from_maps(other, output, network._form(name))

            with watched(network.module, [layer], replaced):
                whole = network.module(inputs.clone())
            again = recording.replay(layer, other)
            assert torch.equal(recording.replay(layer, other), again), "a replay changed what was remembered"
            unchanged = recording.replay(layer, maps)
            error = max((again - whole).abs().max(), (unchanged - plain).abs().max())
            found[layer] = float(error / scale), float((whole - plain).abs().max() / scale)
    return found


@pytest.mark.parametrize(("make", "layers"), SMALL, ids=lambda value: getattr(value, "__name__", ""))
def test_a_replay_of_a_small_network_is_the_whole_pass_with_the_layer_replaced(make, layers):
    torch.manual_seed(0)
    for layer, (error, moved) in differences(network_of(make()), layers, 32).items():
        assert error < 1e-5 and moved > 1e-3, layer


@pytest.mark.parametrize(
    ("spec", "layers"),
    [
        ("packaged:efficientnet-lite0", ["blocks.4.expanded", "blocks.11.expanded", "blocks.11.filtered"]),
        ("torchvision:googlenet@none", ["conv2", "inception4b.branch3", "inception5a"]),
        ("torchvision:resnet18@none", ["layer2.0.relu#1", "layer2.0", "layer4"]),
        ("timm:vit_tiny_patch16_224?pretrained=false", ["blocks.3.mlp.act", "blocks.8"]),
        ("timm:swin_tiny_patch4_window7_224?pretrained=false", ["layers.2.blocks.1.mlp.act", "layers.3.blocks.0"]),
        ("timm:convnext_atto?pretrained=false", ["stages.1.blocks.1.mlp.act", "stages.2"]),
        ("timm:mobilenetv3_small_050?pretrained=false", ["blocks.2.0.bn1", "blocks.3.1"]),
    ],
)
def test_a_replay_of_a_real_network_is_the_whole_pass_with_the_layer_replaced(spec, layers):
    network = load_network(spec)
    if "vit" in spec or "convnext" in spec or "googlenet" in spec or "swin" in spec:
        with torch.no_grad():  # untrained heads and layer scales are near zero: nothing would move
            for parameter in network.module.parameters():
                parameter.copy_(torch.randn_like(parameter) / max(parameter[0].numel(), 1) ** 0.5)
    side = network.preprocessing.input_px[0] if network.is_fixed_size else 96
    for layer, (error, moved) in differences(network, layers, side).items():
        assert error < 1e-4 and moved > 1e-3, layer


def test_only_the_part_behind_the_layer_runs_again():
    network = network_of(Plain())
    recording = network.record(torch.randn(2, 3, 32, 32), ["body.3"])
    recording.replay("body.3", recording.maps["body.3"])  # the first one is checked against whole passes
    calls = []
    body = network.module.body
    handles = [body[i].register_forward_hook(lambda m, i, o: calls.append(m)) for i in (0, 2, 4)]
    originals = [m.forward for m in body]
    ran = []
    body[0].forward = lambda x: ran.append(0) or originals[0](x)
    body[2].forward = lambda x: ran.append(2) or originals[2](x)
    body[4].forward = lambda x: ran.append(4) or originals[4](x)
    recording.replay("body.3", recording.maps["body.3"])
    for handle in handles:
        handle.remove()
    assert ran == [4]


def test_a_recording_leaves_nothing_behind_on_the_module():
    network = network_of(Skipping())
    recording = network.record(torch.randn(1, 3, 32, 32), ["relu#2"])
    recording.replay("relu#2", recording.maps["relu#2"])
    for module in network.module.modules():
        assert "forward" not in module.__dict__ and not module._forward_hooks and not module._forward_pre_hooks


def test_a_recording_made_in_inference_mode_can_be_replayed():
    network = network_of(Skipping())
    with torch.inference_mode():
        inputs = torch.randn(1, 3, 32, 32)
        recording = network.record(inputs, ["relu#2"])
        torch.testing.assert_close(recording.replay("relu#2", recording.maps["relu#2"]), recording.logits)


def test_a_network_that_answers_differently_each_time_is_refused():
    class Dropping(Nested):
        def forward(self, x):
            return super().forward(F.dropout(x))  # training=True is the default

    recording = network_of(Dropping()).record(torch.randn(1, 3, 32, 32), ["block#1"])
    with pytest.raises(NetworkError, match="training=self.training"):
        recording.replay("block#1", recording.maps["block#1"])


def test_a_network_without_logits_is_recorded_but_not_replayed():
    network = network_of(nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 8)))
    recording = network.record(torch.randn(1, 3, 32, 32), ["1"])
    assert recording.logits is None and recording.maps["1"].shape == (1, 8, 32, 32)
    with pytest.raises(NetworkError, match="no logits"):
        recording.replay("1", recording.maps["1"])
