"""Our own networks hold the contract that plug-ins hold."""

import pytest

from actatlas.testing import NetworkContract


class TestPackaged(NetworkContract):
    def make(self):
        return "packaged:efficientnet-lite0"


class TestTokens(NetworkContract):
    def make(self):
        return "timm:test_vit?pretrained=false"


class TestGrey(NetworkContract):
    def make(self):
        return "timm:test_resnet?pretrained=false&in_chans=1&num_classes=4"


class TestLucid(NetworkContract):
    def make(self):
        return "lucid:inceptionv1"


def test_a_contract_without_its_network_says_so():
    with pytest.raises(NotImplementedError, match="def make"):
        NetworkContract().test_it_has_layers_and_recommends_some()
