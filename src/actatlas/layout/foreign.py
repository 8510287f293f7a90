"""Layouts by other packages: which are there, and `--layout NAME` of a plug-in (docs/plugins.md)."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np

from actatlas.errors import MissingExtra, UsageError
from actatlas.plugins import LAYOUTS, OWN, Plugin, find_plugin, plugins

if TYPE_CHECKING:
    from actatlas.layout.settings import LayoutSettings

ON_GPU = ("torchdr", "cuml")
METHODS = OWN[LAYOUTS]


def require_layout(name: str) -> None:
    """Before hours of collecting. Raises UsageError where there is no such layout, MissingExtra without its package."""
    if name not in METHODS:
        require_layout_plugin(name)
    elif name == "tsne" and not _is_installed("openTSNE"):
        raise MissingExtra("openTSNE", "tsne", "a layout by t-SNE")
    elif name == "torchdr" and not _is_installed("torchdr"):
        raise MissingExtra("torchdr", "torchdr", "a layout by TorchDR")
    elif name == "cuml" and not _is_installed("cuml"):
        raise UsageError(
            "a layout by cuML needs RAPIDS cuML and an NVIDIA GPU; install it as docs.rapids.ai says, or choose "
            "another --layout"
        )


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def require_layout_plugin(name: str) -> Plugin:
    """Raises UsageError where there is no such layout."""
    plugin = find_plugin(LAYOUTS, name)
    if plugin is None:
        names = ", ".join((*METHODS, *(plugin.name for plugin in plugins(LAYOUTS))))
        raise UsageError(f'layout "{name}" is not known; choose {names}, or install the package that brings it')
    return plugin


def points_of_plugin(vectors: np.ndarray, image_ids: np.ndarray, settings: LayoutSettings, layer: str) -> np.ndarray:
    """(N, 2) float64, as the plug-in's function gives them for vectors (N, C), image_ids (N,) and a seed.

    Raises UsageError where it fails, or gives something else.
    """
    plugin = require_layout_plugin(str(settings.method))
    told, cure = f"layout {plugin.name}", "choose another --layout"
    given = plugin.run(told, cure, vectors, image_ids, settings.seed_of(layer))
    try:
        points = np.asarray(given, np.float64)
    except (TypeError, ValueError):  # no numbers, or rows of several lengths
        points = np.empty(0)
    if points.shape != (len(vectors), 2) or not np.isfinite(points).all():
        raise UsageError(
            f"{told}: the plug-in of {plugin.package} gives {points.shape}, or numbers that are not "
            f"finite; it should give ({len(vectors)}, 2) finite ones"
        )
    return points
