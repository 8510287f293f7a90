"""Which layers a network has, what is true of each, and that a hook never reports what the network did not compute."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from actatlas.errors import (
    AmbiguousLayer,
    BadLabels,
    ChangedInPlace,
    LayerNotFound,
    LayerNotReached,
    NetworkError,
    UnusableLayer,
)
from actatlas.networks import Network, load_network
from actatlas.preprocessing import Preprocessing


def network_of(module: nn.Module, side: int = 64) -> Network:
    return load_network(module, preprocessing=Preprocessing(input_px=(side, side), resize_px=side))


def by_name(network: Network) -> dict:
    return {layer.name: layer for layer in network.layers}


class Plain(nn.Module):
    """Convolutions whose field and stride are known by hand; a tutorial's `view` before the classifier."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 7, stride=2, padding=3)
        self.act1 = nn.ReLU()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.second = nn.Conv2d(8, 16, 3, padding=2, dilation=2)
        self.act2 = nn.ReLU()
        self.third = nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.act3 = nn.ReLU()
        self.head = nn.Linear(16 * 8 * 8, 5)

    def forward(self, x):
        x = self.pool(self.act1(self.first(x)))
        x = self.act3(self.third(self.act2(self.second(x))))
        return self.head(x.view(x.size(0), -1))


class Shared(nn.Module):
    """One ReLU called three times."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if i == 0 else 8, 8, 3, padding=1) for i in range(3))
        self.relu = nn.ReLU()
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        for conv in self.convs:
            x = self.relu(conv(x))
        return self.head(x.mean(dim=(2, 3)))


class Forms(nn.Module):
    """Channels-last maps, tokens with a class token, vectors, a dictionary, 5-D, and a module that is never called."""

    class Both(nn.Module):
        def forward(self, x):
            return {"x": x}

    class Deep(nn.Module):
        def forward(self, x):
            return x[:, :, None]

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 12, 16, stride=16)
        self.last = nn.LayerNorm(12)
        self.tokens = nn.Linear(12, 10)
        self.pooled = nn.Linear(10, 6)
        self.both, self.deep, self.unused = Forms.Both(), Forms.Deep(), nn.ReLU()

    def forward(self, x):
        x = self.last(self.embed(self.deep(x)[:, :, 0]).permute(0, 2, 3, 1))  # (B, 4, 4, 12)
        x = torch.cat([torch.ones_like(x[:, :1, 0]), x.flatten(1, 2)], dim=1)  # (B, 17, 12)
        return self.pooled(self.both(self.tokens(x))["x"][:, 0])


def test_stride_and_field_of_a_plain_network_are_those_worked_out_by_hand():
    layers = by_name(network_of(Plain()))
    assert list(layers) == ["first", "act1", "pool", "second", "act2", "third", "act3", "head"]
    found = {name: (layer.shape, layer.stride, layer.receptive_field_px) for name, layer in layers.items()}
    assert found["act1"] == ((8, 32, 32), 2, 7)
    assert found["pool"] == ((8, 16, 16), 4, 7 + 2 * 2)
    assert found["act2"] == ((16, 16, 16), 4, 11 + 4 * 4)
    assert found["act3"] == ((16, 8, 8), 8, 27 + 2 * 4)
    assert found["head"] == ((5, 1, 1), 64, 64)


def test_recommended_layers_follow_a_non_linearity_and_are_maps():
    recommended = {layer.name for layer in network_of(Plain()).layers if layer.recommended}
    assert recommended == {"act1", "act2", "act3"}


def test_a_field_reaches_across_a_skip_a_branch_and_a_gate():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Conv2d(3, 8, 9, padding=4), nn.Conv2d(3, 8, 1)
            self.joined, self.gated = nn.Identity(), nn.Identity()

        def forward(self, x):
            x = self.joined(torch.cat([self.narrow(x), self.wide(x)], dim=1))
            return self.gated(x * x.mean(dim=(2, 3), keepdim=True).sigmoid()).mean(dim=(2, 3))

    layers = by_name(network_of(Gated()))
    assert layers["joined"].receptive_field_px == 9 and layers["gated"].receptive_field_px == 64
    assert layers["gated"].stride == 1


def test_a_mixer_over_tokens_is_seen_to_see_everything():
    class Mixer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Conv2d(3, 8, 8, stride=8)
            self.before, self.mix, self.after = nn.GELU(), nn.Linear(64, 64), nn.GELU()

        def forward(self, x):
            x = self.before(self.embed(x).flatten(2).transpose(1, 2))  # (B, 64, 8)
            return self.after(self.mix(x.transpose(1, 2)).transpose(1, 2)).mean(dim=1)

    layers = by_name(network_of(Mixer()))
    assert (layers["before"].form, layers["before"].shape) == ("tokens", (8, 8, 8))
    assert layers["before"].receptive_field_px == 8 and layers["after"].receptive_field_px == 64


def test_every_form_of_output_becomes_maps_and_the_rest_is_refused_by_name():
    network = network_of(Forms())
    layers = by_name(network)
    assert (layers["last"].form, layers["last"].shape) == ("maps", (12, 4, 4))
    assert (layers["tokens"].form, layers["tokens"].shape) == ("tokens", (10, 4, 4))
    assert (layers["pooled"].form, layers["pooled"].shape) == ("vectors", (6, 1, 1))
    inputs = torch.randn(2, 3, 64, 64)
    outputs = {}
    handles = [
        network.module.get_submodule(name).register_forward_hook(lambda m, i, o, name=name: outputs.update({name: o}))
        for name in ("last", "tokens", "pooled")
    ]
    network.module(inputs)
    for handle in handles:
        handle.remove()
    maps = network.activations(inputs, ["last", "tokens", "pooled"])
    torch.testing.assert_close(maps["last"][1, :, 2, 3], outputs["last"][1, 2, 3])
    torch.testing.assert_close(maps["tokens"][1, :, 2, 3], outputs["tokens"][1, 1 + 2 * 4 + 3])
    torch.testing.assert_close(maps["pooled"][1, :, 0, 0], outputs["pooled"][1])
    with pytest.raises(UnusableLayer, match="dict"):
        network.layer("both")
    with pytest.raises(UnusableLayer, match="shape"):
        network.layer("deep")
    with pytest.raises(LayerNotFound):
        network.layer("unused")


def test_tokens_without_a_class_token_keep_all_and_an_odd_count_becomes_a_column():
    class Tokens(nn.Module):
        def __init__(self, side):
            super().__init__()
            self.embed, self.act = nn.Conv2d(3, 8, side, stride=side), nn.GELU()
            self.drop = nn.GELU()

        def forward(self, x):
            x = self.act(self.embed(x).flatten(2).transpose(1, 2))
            return self.drop(x[:, :7]).mean(dim=1)

    network = network_of(Tokens(16))
    assert by_name(network)["act"].shape == (8, 4, 4)
    assert network.activations(torch.randn(2, 3, 64, 64), ["drop"])["drop"].shape == (2, 8, 7, 1)


def test_a_module_called_thrice_is_three_layers():
    network = network_of(Shared())
    assert [name for name in by_name(network) if name.startswith("relu")] == ["relu#1", "relu#2", "relu#3"]
    with pytest.raises(AmbiguousLayer, match="relu#1, relu#2, relu#3"):
        network.layer("relu")
    with pytest.raises(LayerNotFound):
        network.layer("relu#4")
    inputs = torch.randn(2, 3, 64, 64)
    first = F.relu(network.module.convs[0](inputs))
    second = F.relu(network.module.convs[1](first))
    torch.testing.assert_close(network.activations(inputs, ["relu#2"])["relu#2"], second, rtol=1e-4, atol=1e-5)
    assert network.layer("convs.0#1").name == "convs.0"


def test_a_wrong_name_gets_the_nearest_ones(network):
    with pytest.raises(LayerNotFound) as caught:
        network.layer("blocks.11.expand_relu")
    assert any(name.startswith("blocks.11.expand") for name in caught.value.fields["closest"])
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("layers", [["relu#1"], ["relu#2", "relu#1"]])
def test_the_pass_stops_after_the_last_wanted_call(layers):
    network = network_of(Shared())
    network.activations(torch.randn(1, 3, 64, 64), layers)  # the first use looks at the whole pass
    calls = []
    handles = [m.register_forward_hook(lambda m, i, o: calls.append(m)) for m in network.module.convs]
    maps = network.activations(torch.randn(1, 3, 64, 64), layers)
    for handle in handles:
        handle.remove()
    assert len(calls) == len(layers)
    assert list(maps) == layers
    assert not any(m._forward_hooks for m in network.module.modules())


def test_a_layer_that_is_changed_in_place_later_is_refused_and_the_changing_one_is_not():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True)
            self.second, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

        def forward(self, x):
            x = self.relu(self.conv(x))
            y = self.norm(self.second(x))
            y += x
            return y.mean(dim=(2, 3))

    network = network_of(InPlace())
    for layer in ("conv", "norm"):
        with pytest.raises(ChangedInPlace, match=layer):
            network.activations(torch.randn(1, 3, 64, 64), [layer])
        assert layer not in by_name(network)
    maps = network.activations(torch.randn(1, 3, 64, 64), ["relu"])["relu"]
    assert maps.min() == 0 and maps.max() > 0


def test_a_change_that_only_some_inputs_cause_is_noticed_on_the_first_batch():
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)
            self.late = nn.ReLU()

        def forward(self, x):
            y = self.conv(x)
            if x.mean() > 10:
                y.mul_(0)
                return y.mean(dim=(2, 3))
            return self.late(y).mean(dim=(2, 3))

    network = network_of(Sometimes())
    with pytest.raises(ChangedInPlace):
        network.activations(torch.full((1, 3, 64, 64), 20.0), ["conv"])
    with pytest.raises(LayerNotReached):
        network.activations(torch.full((1, 3, 64, 64), 20.0), ["late"])


def test_a_network_that_changes_its_input_leaves_the_callers_alone():
    class Centring(Shared):
        def forward(self, x):
            x -= 5
            return super().forward(x)

    network = network_of(Centring())
    inputs = torch.randn(1, 3, 64, 64)
    before = inputs.clone()
    first = network.activations(inputs, ["relu#3"])["relu#3"]
    again = network.activations(inputs, ["relu#3"])["relu#3"]
    assert torch.equal(inputs, before) and torch.equal(first, again)


def test_activations_carry_gradients_to_the_pixels_and_none_to_the_weights(network):
    pixels = torch.rand(1, 3, 64, 64, requires_grad=True)
    network.activations(network.normalize(pixels), ["blocks.4.expanded"])["blocks.4.expanded"].sum().backward()
    assert pixels.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.module.parameters())


def test_a_fixed_input_is_found_and_an_icon_is_centred_on_the_mean_colour(network):
    assert not network.is_fixed_size
    assert torch.equal(network.fit(torch.ones(1, 3, 40, 40)), torch.ones(1, 3, 40, 40))
    size = Preprocessing(input_px=(64, 64), resize_px=64, mean=(0.5, 0.25, 0.75), std=(1.0, 1.0, 1.0))
    fixed = load_network(Plain(), preprocessing=size)
    assert fixed.is_fixed_size
    fitted = fixed.fit(torch.ones(2, 3, 40, 40))
    assert fitted.shape == (2, 3, 64, 64)
    assert torch.equal(fitted[:, :, 12:52, 12:52], torch.ones(2, 3, 40, 40))
    torch.testing.assert_close(fitted[0, :, 0, 0], torch.tensor([0.5, 0.25, 0.75]))
    torch.testing.assert_close(fixed.normalize(fitted)[0, :, 0, 0], torch.zeros(3))


def test_a_copy_in_half_precision_leaves_the_original_as_it_was(network):
    inputs = network.normalize(torch.rand(2, 3, 64, 64))
    other = network.converted(torch.bfloat16)
    exact = network.activations(inputs, ["blocks.6.expanded"])["blocks.6.expanded"]
    rough = other.activations(inputs, ["blocks.6.expanded"])["blocks.6.expanded"]
    assert exact.dtype == torch.float32 and rough.dtype == torch.bfloat16
    assert F.cosine_similarity(exact.flatten(1), rough.float().flatten(1)).min() > 0.97


def test_auto_precision_is_taken_only_where_it_agrees(network):
    pixels = torch.rand(4, 3, 64, 64)
    name, agreement = network.resolve_precision(pixels, ["blocks.4.expanded"], "auto")
    assert name == "float32" or min(agreement.values()) >= 0.999
    name, agreement = network.resolve_precision(pixels, ["blocks.4.expanded"], "bfloat16")
    assert name == "bfloat16" and 0.9 < agreement["blocks.4.expanded"] < 1


def test_the_module_of_torchs_fused_transformer_is_heard():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.layer, self.head = nn.Conv2d(3, 16, 16, stride=16), layer, nn.Linear(16, 3)

        def forward(self, x):
            return self.head(self.layer(self.embed(x).flatten(2).transpose(1, 2)).mean(dim=1))

    network = network_of(Encoder())
    assert by_name(network)["layer.linear1"].shape == (32, 4, 4)
    with torch.no_grad():
        assert network.activations(torch.randn(1, 3, 64, 64), ["layer.linear1"])["layer.linear1"].shape[1] == 32


class Boxes(torch.nn.Module):
    """What a detector gives: no logits."""

    def __init__(self):
        super().__init__()
        self.seen = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())

    def forward(self, pixels):
        return {"scores": self.seen(pixels).mean(dim=(2, 3))}


@pytest.mark.parametrize(
    ("outputs", "error", "words"),
    [(None, BadLabels, "so its 4 labels have nothing to name; leave them out, or load it with outputs="),
     (lambda given: given["boxen"], NetworkError, "fails on what the network gives, a dict: KeyError: 'boxen'"),
     (lambda given: given["scores"][:, 0], NetworkError, r"gives \(2,\) for 2 images; it has to give a tensor"),
     (lambda given: given, NetworkError, "outputs= gives a dict for 2 images")],
)  # fmt: skip
def test_labels_without_logits_and_outputs_that_are_none_are_told_when_it_is_loaded(outputs, error, words):
    preprocessing = Preprocessing((16, 16), 16)
    with pytest.raises(error, match=words):
        load_network(Boxes().eval(), preprocessing, labels=list("abcd"), outputs=outputs).layers  # noqa: B018
    read = load_network(Boxes().eval(), preprocessing, labels=list("abcd"), outputs=lambda given: given["scores"])
    assert read.class_count == 4
