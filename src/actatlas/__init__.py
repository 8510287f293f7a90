"""actatlas: activation atlases of PyTorch vision networks.

atlas = actatlas.build("photos/", out="atlas")       # needs the extra [build]
atlas = actatlas.open("atlas")                       # needs no torch
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actatlas import toolkit
    from actatlas.api import build, build_from_vectors, compare, measure_icons, open, open_demo, try_patch
    from actatlas.errors import ActatlasError
    from actatlas.networks import load_network
    from actatlas.preprocessing import Preprocessing

__version__ = "0.1.0"

__all__ = [
    "ActatlasError",
    "Preprocessing",
    "__version__",
    "build",
    "build_from_vectors",
    "compare",
    "load_network",
    "measure_icons",
    "open",
    "open_demo",
    "toolkit",
    "try_patch",
]

_HOMES = {
    "ActatlasError": "actatlas.errors",
    "Preprocessing": "actatlas.preprocessing",
    "build": "actatlas.api",
    "build_from_vectors": "actatlas.api",
    "compare": "actatlas.api",
    "load_network": "actatlas.api",
    "measure_icons": "actatlas.api",
    "open": "actatlas.api",
    "open_demo": "actatlas.api",
    "try_patch": "actatlas.api",
}


def __getattr__(name: str) -> Any:
    # Nothing is imported before it is used: reading an atlas needs no torch, and `--help` is quick.
    if name == "toolkit":
        return importlib.import_module("actatlas.toolkit")
    if name not in _HOMES:
        raise AttributeError(f"module 'actatlas' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
