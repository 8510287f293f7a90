"""What every network promises, as tests: inherit, say how to make one, run pytest."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from actatlas.networks import Network, load_network


class NetworkContract:
    """`make` gives a Network, or what `load_network` takes: "myzoo:tiny"."""

    def make(self) -> Any:
        raise NotImplementedError("a contract's test gives its network: def make(self)")

    def test_the_module_is_in_eval_mode_and_its_weights_are_fixed(self) -> None:
        network = self._network()
        assert isinstance(network.module, nn.Module) and network.spec
        assert not any(module.training for module in network.module.modules())
        assert not any(parameter.requires_grad for parameter in network.module.parameters())

    def test_it_is_the_same_network_each_time(self) -> None:
        assert self._network().weights_sha256 == self._network().weights_sha256

    def test_a_photo_becomes_pixels_of_the_size_that_the_network_takes(self) -> None:
        network = self._network()
        noise = np.random.default_rng(0).integers(0, 256, (90, 140, 3), np.uint8)
        pixels = network.pixels(Image.fromarray(noise))
        assert pixels.shape == (network.preprocessing.channel_count, *network.preprocessing.input_px)
        assert pixels.dtype == torch.float32 and pixels.min() >= 0 and pixels.max() <= 1

    def test_normalising_is_differentiable(self) -> None:
        pixels = self._noise(self._network()).requires_grad_()
        self._network().normalize(pixels).sum().backward()  # type: ignore[no-untyped-call]
        assert pixels.grad is not None and bool((pixels.grad != 0).all())

    def test_it_has_layers_and_recommends_some(self) -> None:
        layers = self._network().layers
        assert layers, "no module's output is (B, C, H, W), (B, T, C) or (B, C)"
        assert any(layer.recommended for layer in layers)

    def test_a_layer_is_its_modules_output(self) -> None:
        network = self._network()
        names = [layer.name for layer in network.layers if layer.recommended]
        inputs = network.normalize(self._noise(network))
        with torch.no_grad():
            for name in (name for name in names if "#" not in name):
                kept: list[Tensor] = []
                handle = network.module.get_submodule(name).register_forward_hook(_keeping(kept))
                maps = network.activations(inputs, [name])[name]
                handle.remove()
                assert maps.shape == (len(inputs), *network.layer(name).shape), name
                some = maps.flatten()[:: max(maps.numel() // 100, 1)]
                assert torch.isin(some, kept[-1]).all(), name

    def test_there_is_a_label_for_each_logit(self) -> None:
        network = self._network()
        if network.labels is not None and network.class_count is not None:
            assert len(network.labels) == network.class_count
            assert all(isinstance(label, str) and label for label in network.labels)

    def test_an_answer_is_the_same_each_time_and_in_any_company(self) -> None:
        network = self._network()
        if network.class_count is None:
            return
        inputs = network.normalize(self._noise(network, 3))
        before = inputs.clone()
        with torch.no_grad():
            together, alone = network.logits(inputs), network.logits(inputs[1:2])
            again = network.logits(inputs)
        assert together.shape == (3, network.class_count)
        assert torch.equal(inputs, before), "the network changes the caller's inputs"
        assert torch.allclose(together, again, rtol=1e-4, atol=1e-5), "it is random: switch that off in eval mode"
        assert torch.allclose(together[1:2], alone, rtol=1e-2, atol=1e-3 * float(together.abs().max())), (
            "an image's answer depends on the others in its batch"
        )

    def test_the_part_behind_a_layer_can_be_run_alone(self) -> None:
        network = self._network()
        if network.class_count is None:
            return
        layer = next(layer.name for layer in network.layers if layer.recommended)
        recording = network.record(network.normalize(self._noise(network)), [layer])
        assert recording.logits is not None
        again = recording.replay(layer, recording.maps[layer])
        assert torch.allclose(again, recording.logits, rtol=1e-3, atol=1e-4 * float(recording.logits.abs().max()))
        without = recording.replay(layer, torch.zeros_like(recording.maps[layer]))
        assert not torch.allclose(without, recording.logits, rtol=1e-6), f"no logit depends on {layer}"

    def _network(self) -> Network:
        return load_network(self.make(), device="cpu")

    def _noise(self, network: Network, count: int = 2) -> Tensor:
        shape = (count, network.preprocessing.channel_count, *network.preprocessing.input_px)
        return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _keeping(kept: list[Tensor]) -> Any:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        kept.append(output)

    return hook
