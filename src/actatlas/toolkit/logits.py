"""A network whose logits are a layer like any other: so that a class is painted as a channel is."""

from __future__ import annotations

from torch import Tensor, nn

from actatlas.networks import Network

LOGITS = "logits"


def with_logits_layer(network: Network) -> Network:
    """The same network, on the same weights; its layers' names begin with "inner.", its logits are "logits".

    Raises NetworkError for a network without logits.
    """
    network.require_logits()
    return Network(_Named(network.module), network.preprocessing, network.labels, network.spec)


class _Named(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner
        self.logits = nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits(self.inner(inputs))
