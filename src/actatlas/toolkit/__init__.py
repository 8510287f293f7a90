"""Beside the atlas, on the same inversion: what a channel, a neuron, a direction or a class answers to, what one photo
is to a layer, and what of it speaks for a class. docs/toolkit.md shows each.

    net = actatlas.load_network()
    actatlas.toolkit.channel(net, "blocks.11.expanded", 427).picture()

The first argument is a network, an atlas, or a Studio, which keeps what it learns of the photos for the next call.
"""

from actatlas.toolkit.attribution import (
    ChannelAttribution,
    SpatialAttribution,
    channel_attribution,
    spatial_attribution,
)
from actatlas.toolkit.grids import ActivationGrid, LayerGrid, activation_grid
from actatlas.toolkit.studio import Studio
from actatlas.toolkit.visualising import Visualisation, channel, class_picture, direction, neuron

__all__ = [
    "ActivationGrid", "ChannelAttribution", "LayerGrid", "SpatialAttribution", "Studio", "Visualisation",
    "activation_grid", "channel", "channel_attribution", "class_picture", "direction", "neuron", "spatial_attribution",
]  # fmt: skip
