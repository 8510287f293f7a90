"""Image classifiers of transformers: from a folder without any connection, or one sentence."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from actatlas.errors import BadLabels, BadWeights, UnknownNetwork
from actatlas.networks import fetching, load_network

NAMES = {0: "cat", 1: "dog", 2: "<b>", 3: "tea pot"}
KNOWN = {"id2label": NAMES, "label2id": {name: index for index, name in NAMES.items()}}
CONFIGS = {
    "vit": lambda: transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, image_size=64, patch_size=8,
        **KNOWN,
    ),
    "deit": lambda: transformers.DeiTConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, image_size=64, patch_size=8,
        architectures=["DeiTForImageClassificationWithTeacher"], **KNOWN,
    ),
    "dinov2_with_registers": lambda: transformers.Dinov2WithRegistersConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=64, patch_size=8, **KNOWN
    ),
    "resnet": lambda: transformers.ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32, 48], depths=[1, 1, 1], layer_type="basic", **KNOWN
    ),
    "convnext": lambda: transformers.ConvNextConfig(
        hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 2, 1], image_size=64, layer_scale_init_value=0.5, **KNOWN
    ),
    "swin": lambda: transformers.SwinConfig(
        embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=4, image_size=64, patch_size=4, **KNOWN
    ),
    "mobilenet_v2": lambda: transformers.MobileNetV2Config(image_size=64, depth_multiplier=0.35, **KNOWN),
    "regnet": lambda: transformers.RegNetConfig(
        embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], groups_width=8, **KNOWN
    ),
}  # fmt: skip
PLAIN = {"do_resize": True, "size": {"height": 64, "width": 64}, "do_normalize": True, "resample": 3}


def save(kind, folder, processor=None, safe=True):
    torch.manual_seed(0)
    module = transformers.AutoModelForImageClassification.from_config(CONFIGS[kind]()).eval()
    module.save_pretrained(folder)
    if not safe:
        (folder / "model.safetensors").unlink()
        torch.save(module.state_dict(), folder / "pytorch_model.bin")
    if processor is not False:
        made = processor or transformers.ViTImageProcessor(**PLAIN, image_mean=[0.5, 0.4, 0.3], image_std=[0.2] * 3)
        made.save_pretrained(folder)
    return module


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_folder_gives_the_network_that_was_saved_with_its_labels(kind, tmp_path):
    saved = save(kind, tmp_path)
    network = load_network(f"hf:{tmp_path}")
    inputs = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = saved(inputs).logits
    assert torch.allclose(network.logits(inputs), expected, atol=1e-5)
    assert network.labels == list(NAMES.values()) and network.spec == f"hf:{tmp_path}"
    chosen = [layer.name for layer in network.layers if layer.recommended]
    assert len(chosen) >= 2
    seen = {}
    for name in chosen:
        network.module.get_submodule(name).register_forward_hook(
            lambda _m, _i, out, name=name: seen.update({name: out})
        )
    maps = network.activations(inputs, chosen)
    for name in chosen:
        channels, height, width = network.layer(name).shape
        assert maps[name].shape == (2, channels, height, width) and height == width > 1, (name, maps[name].shape)
        last = seen[name].flatten(2)[:, :, -1] if seen[name].ndim == 4 else seen[name][:, -1]
        if channels == last.shape[1]:  # channels first; the tokens of a transformer
            assert torch.allclose(maps[name][:, :, -1, -1], last)


@pytest.mark.parametrize("kind", ["vit", "swin", "convnext"])
def test_attributions_and_derivatives_go_through(kind, tmp_path):
    save(kind, tmp_path)
    network = load_network(f"hf:{tmp_path}")
    layer = [layer.name for layer in network.layers if layer.recommended][0]
    recording = network.record(torch.rand(2, 3, 64, 64), [layer])
    maps = recording.maps[layer]
    assert torch.allclose(recording.replay(layer, maps), recording.logits, atol=1e-4)
    assert not torch.allclose(recording.replay(layer, torch.zeros_like(maps)), recording.logits, atol=1e-4)
    tangent = torch.randn_like(maps)
    step = 1e-2
    forward = recording.derivative(layer, tangent)
    measured = (recording.replay(layer, maps + step * tangent) - recording.replay(layer, maps - step * tangent)) / (
        2 * step
    )
    assert torch.nn.functional.cosine_similarity(forward.flatten(), measured.flatten(), dim=0) > 0.99


def processors():
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
    bgr = {"do_center_crop": True, "crop_size": {"height": 64, "width": 64}, "size": {"shortest_edge": 72}}
    return {
        "squeezed": transformers.ViTImageProcessor(**PLAIN, image_mean=mean, image_std=std),
        "cropped": transformers.BitImageProcessor(
            size={"shortest_edge": 73}, crop_size={"height": 64, "width": 64}, image_mean=mean, image_std=std
        ),
        "convnext": transformers.ConvNextImageProcessor(
            size={"shortest_edge": 64}, crop_pct=0.875, image_mean=mean, image_std=std
        ),
        "offset": transformers.EfficientNetImageProcessor(
            size={"height": 64, "width": 64}, rescale_offset=True, rescale_factor=1 / 127.5, image_mean=mean,
            image_std=std, include_top=False, resample=2,
        ),
        "bgr": transformers.MobileViTImageProcessor(**bgr, do_flip_channel_order=True),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["squeezed", "cropped", "convnext", "offset", "bgr"])
def test_a_photo_becomes_what_the_image_processor_makes_of_it(name, tmp_path):
    processor = processors()[name]
    save("resnet", tmp_path, processor)
    network = load_network(f"hf:{tmp_path}")
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8))
    photo = coarse.resize((320, 240), Image.Resampling.BICUBIC)
    expected = torch.as_tensor(np.stack(processor(photo)["pixel_values"])).float()
    taken = {}
    network.module.resnet.register_forward_pre_hook(
        lambda _m, inputs, named: taken.update(x=named.get("pixel_values", inputs[0] if inputs else None)),
        with_kwargs=True,
    )
    network.logits(network.normalize(network.pixels(photo)[None]))
    assert taken["x"].shape == expected.shape
    spread = expected.std()
    assert (taken["x"] - expected).abs().mean() < 0.1 * spread, name  # half a pixel of a crop's edge
    assert (taken["x"].flip(1) - expected).abs().mean() > 0.2 * spread  # red is not blue


def test_weights_only_bin_is_read_and_code_in_it_is_not(tmp_path):
    saved = save("resnet", tmp_path, safe=False)
    inputs = torch.rand(1, 3, 64, 64)
    assert torch.allclose(load_network(f"hf:{tmp_path}").logits(inputs), saved(inputs).logits, atol=1e-5)
    torch.save({"resnet": Unwelcome()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BadWeights) as caught:
        load_network(f"hf:{tmp_path}")
    assert "\n" not in str(caught.value) and not Unwelcome.was_made


class Unwelcome:
    was_made = False

    def __reduce__(self):
        return setattr, (Unwelcome, "was_made", True)


def test_a_repository_with_its_own_code_is_not_run(tmp_path):
    save("resnet", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(UnknownNetwork, match="its own code, which is never run"):
        load_network(f"hf:{tmp_path}")


def test_a_backbone_without_its_classifier_is_not_given_a_random_one(tmp_path):
    save("vit", tmp_path)
    transformers.ViTModel(CONFIGS["vit"]()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(BadWeights, match=r"lacks classifier\.bias, classifier\.weight"):
        load_network(f"hf:{tmp_path}")
    assert config["model_type"] == "vit"


def test_a_network_of_another_kind_is_named(tmp_path):
    transformers.BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UnknownNetwork, match="is a bert network"):
        load_network(f"hf:{tmp_path}")


def test_without_configuration_the_spec_says_what_the_network_takes(tmp_path):
    save("vit", tmp_path, processor=False)
    with pytest.raises(UnknownNetwork, match=r"no preprocessor_config.json.*\?input_px=64&mean=0.5,0.5,0.5"):
        load_network(f"hf:{tmp_path}")
    network = load_network(f"hf:{tmp_path}?mean=0.5,0.5,0.5&std=0.25")
    assert network.preprocessing.input_px == (64, 64) and network.preprocessing.std == (0.25,) * 3
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UnknownNetwork, match="no configuration of transformers in it"):
        load_network(f"hf:{empty}")


def test_labels_that_nobody_named_are_none_and_can_be_given(tmp_path):
    transformers.ResNetForImageClassification(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=3)
    ).save_pretrained(tmp_path)
    transformers.ViTImageProcessor(**PLAIN).save_pretrained(tmp_path)
    assert load_network(f"hf:{tmp_path}").labels is None
    (tmp_path / "names.txt").write_text("one\ntwo\nthree\n")
    assert load_network(f"hf:{tmp_path}?labels={tmp_path}/names.txt").labels == ["one", "two", "three"]
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    with pytest.raises(BadLabels, match="names 2 classes, but .* has 3 logits"):
        load_network(f"hf:{tmp_path}?labels={tmp_path}/names.txt")


def test_without_a_connection_it_says_what_to_download_and_where_to_put_it(monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "is_known", lambda host: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadWeights) as caught:
        load_network("hf:nobody/never-was-there")
    text = str(caught.value)
    assert "no connection to" in text and "\n" not in text
    assert "hf download nobody/never-was-there --local-dir never-was-there" in text
    assert "hf:PATH/never-was-there" in text


@pytest.mark.parametrize("spec", ["hf:./nowhere", "hf:/nowhere/at/all", "hf:a/b/c"])
def test_a_folder_that_is_not_there_is_named(spec):
    with pytest.raises(UnknownNetwork, match="there is no such folder"):
        load_network(spec)


def test_untrained_weights_of_a_configuration_are_the_same_twice_and_said_to_be(tmp_path, caplog):
    save("convnext", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with caplog.at_level(logging.WARNING, logger="actatlas"):
        one, other = (load_network(f"hf:{tmp_path}?pretrained=false") for _ in range(2))
    assert one.weights_sha256 == other.weights_sha256 and "random" in caplog.text
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"image_mean": "x"}, {"size": {"height": 10**7, "width": 10**7}}, {"rescale_factor": 0}]
)
def test_a_configuration_that_cannot_be_is_one_sentence(changes, tmp_path):
    save("vit", tmp_path)
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(UnknownNetwork, match=r"preprocessor_config.json that does not read .*\?input_px=224"):
        load_network(f"hf:{tmp_path}")
    file.unlink()
    with pytest.raises(UnknownNetwork, match=r"sides are 1 to 8,192 pixels; change the option"):
        load_network(f"hf:{tmp_path}?input_px=9999999&mean=0.5&std=0.5")
