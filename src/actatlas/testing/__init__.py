"""For tests, ours and others': contracts that plug-ins hold, and an atlas that was never computed.

    class TestMyNetwork(actatlas.testing.NetworkContract):
        def make(self):
            return "myzoo:tiny"

A network's contract needs torch; the rest does not, so it is loaded when it is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from actatlas.testing.executors import ExecutorContract
from actatlas.testing.fake import (
    CHANNELS,
    FAKE_LABELS,
    blocks_of,
    cell_code,
    code_of,
    colour_of,
    fake_atlas,
    kept_cells,
    place_in,
)
from actatlas.testing.images import ImageSourceContract

if TYPE_CHECKING:
    from actatlas.testing.networks import NetworkContract

__all__ = [
    "CHANNELS",
    "FAKE_LABELS",
    "ExecutorContract",
    "ImageSourceContract",
    "NetworkContract",
    "blocks_of",
    "cell_code",
    "code_of",
    "colour_of",
    "fake_atlas",
    "kept_cells",
    "place_in",
]


def __getattr__(name: str) -> Any:
    if name == "NetworkContract":
        return importlib.import_module("actatlas.testing.networks").NetworkContract
    raise AttributeError(f"module {__name__} has no attribute {name}")
