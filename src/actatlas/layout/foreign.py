"""Layouts by other packages: `--layout NAME` of a plug-in (docs/plugins.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from actatlas.errors import UsageError
from actatlas.plugins import LAYOUTS, Plugin, find_plugin, plugins

if TYPE_CHECKING:
    from actatlas.layout.settings import LayoutSettings

METHODS = ("umap", "landmarks", "tsne")


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
