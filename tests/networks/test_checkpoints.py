"""A checkpoint is loaded whatever it was wrapped in, and what does not fit is one sentence."""

import json

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from actatlas.errors import BadLabels, BadWeights, UnknownNetwork, UsageError
from actatlas.networks import fetching, load_network


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(3)
    return timm.create_model("test_resnet", pretrained=False, num_classes=7).eval()


def sentence(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text and len(text) < 500, text
    return text


def wrapped(state, how):
    return {
        "bare": lambda: state,
        "state_dict": lambda: {"epoch": 3, "state_dict": state},
        "model": lambda: {"model": state, "optimizer": {"param_groups": [{"lr": 0.1}]}},
        "DataParallel": lambda: {f"module.{key}": value for key, value in state.items()},
        "compiled and nested": lambda: {
            "model": {"state_dict": {f"module._orig_mod.{key}": value for key, value in state.items()}}
        },
        "Lightning": lambda: {"state_dict": {f"model.{key}": value for key, value in state.items()}, "callbacks": {}},
        "EMA": lambda: {"state_dict_ema": state},
    }[how]()


@pytest.mark.parametrize(
    "how", ["bare", "state_dict", "model", "DataParallel", "compiled and nested", "Lightning", "EMA"]
)
def test_a_checkpoint_is_found_in_what_training_loops_wrap_it_in(trained, how, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(wrapped(trained.state_dict(), how), file)
    network = load_network(f"timm:test_resnet?num_classes=7&checkpoint={file}")
    assert torch.equal(network.module.fc.weight, trained.fc.weight)
    assert torch.equal(network.module.conv1[0].weight, trained.conv1[0].weight)
    assert network.class_count == 7 and network.labels is None


def test_safetensors_are_read_and_a_cut_file_is_named(trained, tmp_path):
    file = tmp_path / "weights & 100% more.safetensors"
    save_file(trained.state_dict(), file)
    network = load_network(
        f"timm:test_resnet?num_classes=7&checkpoint={str(file).replace('%', '%25').replace('&', '%26')}"
    )
    assert torch.equal(network.module.fc.weight, trained.fc.weight)
    assert torch.equal(load_network(network.spec).module.fc.weight, trained.fc.weight)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BadWeights, match="no whole safetensors file"):
        load_network(network.spec)


def test_the_spec_leads_to_the_file_from_any_folder(trained, tmp_path, monkeypatch):
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    monkeypatch.chdir(tmp_path)
    spec = load_network("timm:test_resnet?num_classes=7&checkpoint=w.pth").spec
    monkeypatch.chdir("/")
    assert load_network(spec).class_count == 7


def test_a_checkpoint_of_other_classes_says_how_many_it_has(trained, tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(trained.state_dict(), file)
    for spec in (f"timm:test_resnet?checkpoint={file}", f"timm:test_resnet?num_classes=9&checkpoint={file}"):
        with pytest.raises(BadWeights) as caught:
            load_network(spec)
        assert "7 classes" in sentence(caught.value) and "write num_classes=7" in str(caught.value)
        assert caught.value.exit_code == 4 and caught.value.fields["num_classes"] == 7


def test_keys_of_another_architecture_are_named(trained, tmp_path):
    file = tmp_path / "weights.pth"
    state = dict(trained.state_dict())
    for key in ("conv1.0.weight", "layer1.0.conv1.weight"):
        state[f"own.{key}"] = state.pop(key)
    torch.save(state, file)
    with pytest.raises(BadWeights) as caught:
        load_network(f"timm:test_resnet?num_classes=7&checkpoint={file}")
    text = sentence(caught.value)
    assert "lacks conv1.0.weight, layer1.0.conv1.weight" in text and "has own.conv1.0.weight" in text
    with pytest.raises(BadWeights, match=r"and \d+ more keys"):
        load_network(f"timm:test_vit?num_classes=7&checkpoint={file}")


def test_a_checkpoint_of_another_width_is_not_said_to_be_one_of_other_classes(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save(timm.create_model("test_resnet", num_classes=7, in_chans=5).state_dict(), file)
    with pytest.raises(BadWeights, match=r"conv1.*\(\d+, 5, 3, 3\) there"):
        load_network(f"timm:test_resnet?num_classes=7&checkpoint={file}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("nothing", "there is no file"),
        (b"no weights", "cannot be read|more than tensors"),
        (b"", "cannot be read|more than tensors"),
        ([1, 2], "no state dict"),
        ({"epoch": 3}, "no state dict"),
    ],
)
def test_a_file_without_weights_is_named(content, words, tmp_path):
    file = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content != "nothing":
        torch.save(content, file)
    with pytest.raises(BadWeights, match=words) as caught:
        load_network(f"timm:test_resnet?checkpoint={file}")
    assert str(file) in sentence(caught.value)


def test_torchvision_takes_checkpoints_too_heads_for_training_left_out(tmp_path):
    torch.manual_seed(1)
    module = torchvision.models.googlenet(num_classes=5, aux_logits=True, init_weights=False)
    torch.save({"state_dict": module.state_dict()}, tmp_path / "g.pth")
    network = load_network(f"torchvision:googlenet?checkpoint={tmp_path}/g.pth&num_classes=5")
    assert torch.equal(network.module.fc.weight, module.fc.weight) and network.class_count == 5
    assert network.labels is None and network.preprocessing.input_px == (224, 224)
    with pytest.raises(BadWeights, match="write num_classes=5"):
        load_network(f"torchvision:googlenet?checkpoint={tmp_path}/g.pth")


@pytest.mark.parametrize(
    ("spec", "error", "hint"),
    [
        ("torchvision:resnet18@DEFAULT?num_classes=5", UsageError, "goes with @none or with checkpoint=FILE"),
        ("torchvision:resnet18@DEFAULT?checkpoint=x.pth", UsageError, "names weights twice"),
        ("torchvision:resnet18@none?num_clases=5", UnknownNetwork, 'did you mean "num_classes"'),
        ("timm:test_resnet?num_classes=many", UnknownNetwork, 'num_classes is a whole number, not "many"'),
        ("timm:test_resnet?pretrained=no", UnknownNetwork, "pretrained is true or false"),
        ("timm:test_resnet?checkpoint=", UnknownNetwork, "write checkpoint=FILE"),
        ("timm:test_resnet?mean=red", UnknownNetwork, "mean is one number, or one a channel"),
        ("timm:test_resnet?pretrained=false&mean=0.1,0.2", UnknownNetwork, "one mean and std a channel"),
        ("packaged:efficientnet-lite0?checkpoint=x.pth", UnknownNetwork, 'no option "checkpoint"'),
    ],
)
def test_an_option_that_cannot_be_says_what_would_do(spec, error, hint):
    with pytest.raises(error) as caught:
        load_network(spec)
    assert hint in sentence(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", "cat\nred fox\n tea pot \n"),
        ("list.json", json.dumps(["cat", "red fox", "tea pot"])),
        ("index.json", json.dumps({"1": "red fox", "0": "cat", "2": "tea pot"})),
        ("class_to_idx.json", json.dumps({"red fox": 1, "cat": 0, "tea pot": 2})),
        ("imagenet.json", json.dumps({"0": ["n1", "cat"], "1": ["n2", "red fox"], "2": ["n3", "tea pot"]})),
        ("bom.txt", "\ufeffcat\r\nred fox\r\ntea pot"),
    ],
)
def test_labels_come_from_a_file(name, content, tmp_path):
    (tmp_path / name).write_text(content, encoding="utf-8")
    network = load_network(f"timm:test_resnet?pretrained=false&num_classes=3&labels={tmp_path / name}")
    assert network.labels == ["cat", "red fox", "tea pot"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("short.txt", b"cat\nred fox\n", "names 2 classes, but .* has 3 logits"),
        ("long.json", b'["a", "b", "c", "d"]', "names 4 classes, but .* has 3 logits"),
        ("gap.json", b'{"0": "a", "1": "b", "3": "c"}', "indices from 0 on"),
        ("numbers.json", b"[1, 2, 3]", "neither a list of names"),
        ("broken.json", b'["a", ', "is no JSON"),
        ("binary.txt", b"\xff\xfe\x00", "is no text"),
        ("missing.txt", None, "cannot be read"),
    ],
)
def test_labels_that_do_not_fit_are_one_sentence(name, content, words, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadLabels, match=words) as caught:
        load_network(f"timm:test_resnet?pretrained=false&num_classes=3&labels={tmp_path / name}")
    assert str(tmp_path / name) in sentence(caught.value)


def test_a_network_without_classes_has_none_to_name(tmp_path):
    (tmp_path / "names.txt").write_text("one\n")
    with pytest.raises(BadLabels, match="no classes to name"):
        load_network(f"timm:test_resnet?pretrained=false&num_classes=0&labels={tmp_path}/names.txt")


def test_preprocessing_can_be_given_for_a_network_that_was_trained_with_another():
    network = load_network("timm:test_resnet?pretrained=false&num_classes=10&input_px=32&mean=0.5,0.4,0.3&std=0.25")
    assert network.preprocessing.input_px == (32, 32) and network.preprocessing.mean == (0.5, 0.4, 0.3)
    assert network.preprocessing.std == (0.25,) * 3
    fixed = load_network("timm:test_vit?pretrained=false&input_px=96")
    assert fixed.class_count == 1000 and fixed.layers[0].shape[1:] == (6, 6)


@pytest.mark.parametrize(
    ("spec", "fetch", "then"),
    [
        (
            "timm:resnet18.a1_in1k",
            "hf download timm/resnet18.a1_in1k",
            "timm:resnet18?checkpoint=DIR/model.safetensors",
        ),
        ("torchvision:resnet18@DEFAULT", "fetch https://download.pytorch.org/", "torchvision:resnet18?checkpoint=FILE"),
    ],
)
def test_without_a_connection_it_says_what_to_download(spec, fetch, then, monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "is_known", lambda host: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def refuse(*_arguments, **_named):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(BadWeights) as caught:
        load_network(spec)
    text = sentence(caught.value)
    assert "there is no connection to" in text and fetch in text and then in text, text


def test_an_architecture_without_trained_weights_says_so():
    untrained = next(name for name in timm.list_models() if not timm.get_pretrained_cfg(name).has_weights)
    with pytest.raises(UnknownNetwork, match=f"no trained weights of {untrained}.*pretrained=false"):
        load_network(f"timm:{untrained}")


@pytest.mark.parametrize("channel_count", [1, 2, 5])
def test_any_number_of_channels_gets_its_mean_and_spread(channel_count):
    network = load_network(f"timm:test_resnet?pretrained=false&in_chans={channel_count}")
    assert network.preprocessing.channel_count == len(network.preprocessing.mean) == channel_count
    assert isinstance(network.module, nn.Module) and network.class_count == 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weight: weight.to("meta"), "not a plain tensor"),
        (lambda weight: weight.to_sparse(), "not a plain tensor"),
        (lambda weight: weight.to(torch.complex64), "holds complex64, not real numbers"),
        (lambda weight: weight > 0, "holds bool, not real numbers"),
        (lambda weight: torch.full_like(weight, torch.nan), "holds NaN"),
    ],
)
def test_tensors_that_are_no_weights_are_named_before_any_photo(trained, change, words, tmp_path, capfd):
    file, state = tmp_path / "weights.pth", dict(trained.state_dict())
    key = next(key for key in state if key.endswith("weight"))
    state[key] = change(state[key])
    torch.save(state, file)
    with pytest.raises(BadWeights, match=rf"{key} .*{words}") as caught:
        load_network(f"timm:test_resnet?num_classes=7&checkpoint={file}")
    assert str(file) in sentence(caught.value) and not capfd.readouterr().err


def test_a_checkpoint_that_is_a_link_to_itself_is_named(tmp_path):
    loop = tmp_path / "loop.pth"
    loop.symlink_to(loop)
    with pytest.raises(BadWeights, match=rf"there is no file {loop}"):
        load_network(f"timm:test_resnet?checkpoint={loop}")
