"""What was done, with what: the atlas's card, for the page and for what is published."""

from __future__ import annotations

from typing import Any

import numpy as np

from actatlas.atlas import Atlas, Layer
from actatlas.site.data import public_text


def about_value(atlas: Atlas) -> dict[str, Any]:
    """Without the folders that photos, or a network's own file, lie in."""
    plan = atlas.plan
    return {
        "network": {
            "spec": public_text(atlas, plan["network"]["spec"]),
            "weights_sha256": plan["network"]["weights_sha256"],
            "class_count": plan["network"]["class_count"],
            "input_px": list(atlas.preprocessing.input_px),
        },
        "photos": {**atlas.image_counts, "source": public_text(atlas, plan["images"]["spec"])},
        "layers": [_layer(atlas.layer(name)) for name in atlas.layer_names],
        "settings": plan["settings"],
        "versions": plan["versions"],
    }


def flat_settings(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """("collect.seed", "0") and so on, in words."""
    found = []
    for name, value in settings.items():
        found += (
            flat_settings(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", _told(value))]
        )
    return found


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name, "type": layer.info.type, "shape": list(layer.info.shape),
        "patch_px": layer.patch_px if layer.grid_sides else None,
        "activations": layer.activation_count, "attribution": layer.attribution_method,
        "grids": [
            {"side": g.side, "cells": len(g), "cosine": _mean(g.cosine), "identified": _mean(g.rank[g.is_painted] == 0)}
            for g in (layer.grid(side) for side in layer.grid_sides)
        ],
    }  # fmt: skip


def _mean(values: np.ndarray) -> float | None:
    """Of those that are there, which are all but while icons are painted."""
    there = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return round(float(np.mean(there)), 4) if len(there) else None


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
