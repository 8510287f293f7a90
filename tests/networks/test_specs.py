"""A spec gives a network, or one sentence that says how to mend it."""

import logging

import pytest
import timm
import torch
from torch import nn

from actatlas.errors import BadWeights, NetworkError, UnknownNetwork, UsageError
from actatlas.networks import load_network
from actatlas.preprocessing import Preprocessing

ZOO = """
from torch import nn
from actatlas import Preprocessing

SIZE = Preprocessing(input_px=(32, 32), resize_px=32)

def tower():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))

def labelled():
    return tower(), SIZE, ["cat", "dog"]

def unlabelled():
    return tower(), SIZE

def carrying():
    module = tower()
    module.preprocessing = SIZE
    return module

def bare():
    return tower()

def leaves():
    raise SystemExit(0)

def long_story():
    raise ValueError("first line\\nsecond line")
"""


@pytest.fixture
def zoo(tmp_path):
    file = tmp_path / "zoo.py"
    file.write_text(ZOO)
    return file


def sentence(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text and len(text) < 500, text
    return text


@pytest.mark.parametrize("function", ["labelled", "unlabelled", "carrying"])
def test_a_function_in_a_file_gives_a_network(zoo, function):
    network = load_network(f"{zoo}:{function}")
    assert network.spec == f"{zoo}:{function}"
    assert network.class_count == 2
    assert network.labels == (["cat", "dog"] if function == "labelled" else None)
    assert not network.module.training and not any(p.requires_grad for p in network.module.parameters())


def test_a_file_may_import_its_neighbour(tmp_path, zoo):
    (tmp_path / "second.py").write_text("from zoo import labelled as make\n")
    assert load_network(f"{tmp_path / 'second.py'}:make").labels == ["cat", "dog"]


@pytest.mark.parametrize("function", ["bare", "leaves", "long_story", "missing"])
def test_a_function_that_gives_no_network_is_one_sentence(zoo, function):
    with pytest.raises(UnknownNetwork) as caught:
        load_network(f"{zoo}:{function}")
    assert str(zoo) in sentence(caught.value) and caught.value.exit_code == 4


@pytest.mark.parametrize(
    "content", [b"def make(:\n", b"\x00\xff\xfe", b"import sys; sys.exit(3)", b"1 / 0", b"import nowhere_to_be_found"]
)
def test_a_file_that_cannot_be_run_is_one_sentence(tmp_path, content):
    file = tmp_path / "broken.py"
    file.write_bytes(content)
    with pytest.raises(UnknownNetwork) as caught:
        load_network(f"{file}:make")
    assert str(file) in sentence(caught.value)


def test_a_bare_name_names_the_fixes():
    with pytest.raises(UnknownNetwork) as caught:
        load_network("resnet50")
    text = sentence(caught.value)
    for fix in ("timm:resnet50", "torchvision:resnet50@", "packaged:efficientnet-lite0", "python:", "zoo.py:"):
        assert fix in text


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("packaged:resnet50", "packaged:efficientnet-lite0"),
        ("torchvision:resnet18", "torchvision:resnet18@IMAGENET1K_V1"),
        ("torchvision:resnet18@V7", "torchvision:resnet18@none"),
        ("torchvision:resnet19@none", "resnet18"),
        ("python:nowhere_to_be_found:make", "nowhere_to_be_found"),
        ("python:json", "python:module:function"),
        ("python:json:no_such", "no_such"),
        ("zoo.py", "zoo.py:function"),
        ("nowhere/zoo.py:make", "no file"),
    ],
)
def test_a_spec_that_cannot_be_says_what_would_do(spec, hint):
    with pytest.raises(UnknownNetwork) as caught:
        load_network(spec)
    assert hint in sentence(caught.value)


def test_a_timm_name_that_is_nearly_right_gets_the_right_one():
    with pytest.raises(UnknownNetwork, match="resnet18"):
        load_network("timm:resnet81")


def test_a_damaged_checkpoint_is_not_read(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save({"anything": Preprocessing(input_px=(8, 8), resize_px=8)}, file)  # code, not tensors
    with pytest.raises(BadWeights) as caught:
        load_network(f"timm:resnet10t?checkpoint={file}")
    assert str(file) in sentence(caught.value)


def test_a_checkpoint_for_other_classes_is_loaded(tmp_path):

    file = tmp_path / "weights.pth"
    torch.manual_seed(3)
    module = timm.create_model("resnet10t", pretrained=False, num_classes=7)
    torch.save(module.state_dict(), file)
    network = load_network(f"timm:resnet10t?num_classes=7&checkpoint={file}")
    assert network.class_count == 7 and network.labels is None
    assert torch.equal(network.module.fc.weight, module.fc.weight)


def test_untrained_weights_are_the_same_twice_said_to_be_untrained_and_leave_the_random_numbers_alone(caplog):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with caplog.at_level(logging.WARNING, logger="actatlas"):
        first, second = (load_network("torchvision:squeezenet1_1@none") for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert first.weights_sha256 == second.weights_sha256
    assert "random" in caplog.text and "torchvision:squeezenet1_1@none" in caplog.text


def test_features_without_classes_are_no_logits():
    assert load_network("timm:resnet10t?pretrained=false&num_classes=0").class_count is None


def test_a_module_is_a_network_whose_hash_is_of_its_weights():
    size = Preprocessing(input_px=(32, 32), resize_px=32)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    network = load_network(module, preprocessing=size, labels=["a", "b"])
    assert network.module is module and network.spec == "python:Sequential"
    before = network.weights_sha256
    with torch.no_grad():
        module[0].bias[0] += 1
    assert load_network(module, preprocessing=size).weights_sha256 != before


def test_a_module_without_preprocessing_or_with_too_few_labels_is_refused():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(UnknownNetwork, match="preprocessing"):
        load_network(module)
    network = load_network(module, preprocessing=Preprocessing(input_px=(32, 32), resize_px=32), labels=["one"])
    with pytest.raises(NetworkError, match="8 logits but 1 labels"):
        _ = network.layers


@pytest.mark.parametrize("device", ["cudda", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(UsageError, match=f'device "{device}".*leave it out'):
        load_network("packaged:efficientnet-lite0", device=device)
    assert load_network("packaged:efficientnet-lite0", device="cpu").device.type == "cpu"
