"""Network specs → networks: a module with preprocessing, labels and layers, run whole, in part, or from the middle."""

from actatlas.networks.answers import likeliest
from actatlas.networks.folding import folded
from actatlas.networks.imagenet import other_names
from actatlas.networks.lightening import lightened
from actatlas.networks.memory import kept_memory
from actatlas.networks.network import Network
from actatlas.networks.recording import Recording
from actatlas.networks.running import plain_paths
from actatlas.networks.specs import load_network

__all__ = [
    "Network", "Recording", "folded", "kept_memory", "lightened", "likeliest", "load_network", "other_names",
    "plain_paths",
]  # fmt: skip
