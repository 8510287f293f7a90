"""A finished build in a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from actatlas.atlas import Atlas, Layer


def summary(atlas: Atlas) -> dict[str, Any]:
    """A finished build as `actatlas build --json` prints it."""
    layers = {}
    for name in atlas.layer_names:
        layer = atlas.layer(name)
        grids = {str(side): _grid_summary(layer, side) for side in layer.grid_sides}
        layers[name] = {
            "activations": layer.activation_count,
            "images": atlas.image_counts["used"],
            "channels": layer.info.shape[0],
            "grids": grids,
        }
    seconds = {stage: round(s, 3) for stage, s in atlas.timings["stages"].items()}
    site = str(atlas.folder / "site" / "index.html")
    return {
        "atlas": str(atlas.folder),
        "site": site,
        "images": atlas.image_counts,
        "seconds": seconds,
        "layers": layers,
    }


def _grid_summary(layer: Layer, side: int) -> dict[str, Any]:
    grid = layer.grid(side)
    return {
        "cells": len(grid),
        "cosine": round(float(np.mean(grid.cosine)), 4) if len(grid) else None,
        "identified": round(float(np.mean(grid.rank == 0)), 4) if len(grid) else None,
        "icon_seconds": grid.icon_seconds,
    }
