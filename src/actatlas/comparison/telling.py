"""A comparison as JSON (docs/schema/comparison.json) and as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from actatlas.atlas import Layer
from actatlas.comparison.changes import FALSE_SHARE, LEAST_PHOTOS, MOST_KEPT, OwnCells
from actatlas.comparison.classes import Spoken
from actatlas.comparison.comparing import REGIONS, Comparison
from actatlas.comparison.groups import GROUP
from actatlas.comparison.likeness import Cka

FORMAT_VERSION = 1
_TOP = 3


def comparison_value(found: Comparison) -> dict[str, Any]:
    """Numbers and places; it names no folder, and no photo."""
    first, second = found.matched.photos[1:]
    return {
        "format_version": FORMAT_VERSION,
        "first": _layer_value(found.layers[0]),
        "second": _layer_value(found.layers[1]),
        "matched": {
            "activations": len(found.matched), "photos": len(np.unique(found.matched.image_ids)),
            "alone": list(found.matched.alone), "photos_of_both": found.matched.photos[0],
            "photos_of_first": first, "photos_of_second": second,
        },
        "settings": {
            "grid": found.side, "neighbors": found.neighbors, "group": GROUP * found.neighbors,
            "seed": found.settings.layout.seed, "min_images": found.settings.min_images,
            "least_photos": LEAST_PHOTOS, "most_kept": MOST_KEPT, "false_share": FALSE_SHARE,
        },
        "overlap": _number(found.overlap.mean()),
        "overlap_chance": _number(found.chance),
        "kept": [_number(np.sum(each.other) / max(np.sum(each.own), 1e-9)) for each in found.holding],
        "cka": _cka_value(found.whole),
        "classes": None if found.spoken is None or found.classes is None else len(found.classes),
        "counts": {
            "cells": len(found.cells[0]),
            "vanishing": int(found.own[0].is_gone.sum()), "of_first": len(found.own[0].square),
            "appearing": int(found.own[1].is_gone.sum()), "of_second": len(found.own[1].square),
            "class": sum(change == "class" for change in found.shared.changes),
            "other_top_class": 0 if found.shared.classes is None else int(found.shared.classes.is_other.sum()),
        },
        "vanishing": _own_value(found, 0),
        "appearing": _own_value(found, 1),
        "regions": [
            {
                "column": region.column, "row": region.row, "of": REGIONS, "activations": region.activations,
                "cka": _cka_value(region.cka),
            }
            for region in found.regions
        ],
        "cells": [_cell_value(found, k) for k in range(len(found.cells[0]))],
    }  # fmt: skip


def comparison_table(found: Comparison) -> pd.DataFrame:
    """One row a cell of the map of both."""
    rows = []
    for cell in comparison_value(found)["cells"]:
        tops = [cell[f"{side}_classes"] for side in ("first", "second")]
        names = [top[0]["name"] if top else "" for top in tops]
        plain = {key: value for key, value in cell.items() if not key.endswith("_classes") and key != "cka"}
        cka = cell["cka"]["value"] if cell["cka"] else float("nan")
        rows.append(plain | {"cka": cka, "first_class": names[0], "second_class": names[1]})
    return pd.DataFrame(rows)


def _layer_value(layer: Layer) -> dict[str, Any]:
    network = layer.atlas.plan["network"]
    return {
        "atlas": layer.atlas.folder.name, "layer": layer.name, "channels": layer.info.shape[0],
        "weights_sha256": network["weights_sha256"],
    }  # fmt: skip


def _cell_value(found: Comparison, k: int) -> dict[str, Any]:
    cells, shared = found.cells[0], found.shared
    region = found.region_of(k)
    column, row = cells.coordinates[k].tolist()
    value: dict[str, Any] = {
        "column": column, "row": row, "count": int(cells.counts[k]), "photos": int(cells.image_counts[k]),
        "overlap": _number(found.cell_overlap[k]),
        "kept_of_first": _number(shared.kept[k, 0]), "kept_of_second": _number(shared.kept[k, 1]),
        "vanishing": _number(shared.vanishing[k]), "appearing": _number(shared.appearing[k]),
        "change": shared.changes[k],
        "class_p": None if shared.classes is None else _number(shared.classes.p[k]),
        "cka": None if region is None else _cka_value(region.cka),
    }  # fmt: skip
    for side, number in (("first", 0), ("second", 1)):
        value[f"{side}_classes"] = [] if found.spoken is None else _classes_value(found, found.spoken[number], k)
    return value


def _classes_value(found: Comparison, said: Spoken, k: int) -> list[dict[str, Any]]:
    """The classes that a cell speaks for most."""
    if found.classes is None or said.top[k] < 0:
        return []
    order = np.argsort(-said.values[k], kind="stable")[:_TOP].tolist()
    return [{"name": found.classes.name(i), "value": _number(said.values[k, i])} for i in order]


def _own_value(found: Comparison, number: int) -> list[dict[str, Any]]:
    """Cells of one network's own map that the other does not keep together, the least kept first."""
    own, side = found.own[number], found.side
    gone = np.flatnonzero(own.is_gone)
    return [
        {
            "column": int(own.square[k] % side), "row": int(own.square[k] // side), "count": int(own.counts[k]),
            "photos": int(own.photos[k]), "held": _number(own.held[k]), "kept": _number(own.kept[k]),
            "p": _number(own.p[k]), "now": _where(found, own, k),
            "classes": [] if found.own_spoken is None else _classes_value(found, found.own_spoken[number], k),
        }
        for k in gone[np.argsort(own.kept[gone], kind="stable")].tolist()
    ]  # fmt: skip


def _where(found: Comparison, own: OwnCells, k: int) -> list[int] | None:
    """(column, row) of the cell of the map of both that holds most of its activations; None where all are cut off."""
    cells = found.cells[0]
    there = cells.of_rows(len(found.matched))[own.of == k]
    there = there[there >= 0]
    return cells.coordinates[np.bincount(there).argmax()].tolist() if len(there) else None


def _cka_value(told: Cka | None) -> dict[str, Any] | None:
    if told is None:
        return None
    error = None if told.error is None else _number(told.error)
    return {"value": _number(told.value), "error": error, "photos": told.photos}


def _number(value: float) -> float:
    """Four digits."""
    return float(f"{float(value):.4g}")
