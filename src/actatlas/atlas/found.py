"""What was found out about a finished atlas and kept in its folder: traces and misunderstandings, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from actatlas.store import paths

if TYPE_CHECKING:
    from actatlas.atlas.cells import Grid
    from actatlas.atlas.reader import Atlas

_LATE = ("layer", "grid", "cell")
_EARLIER = ("made_of_layer", "made_of", "contribution", "photos", "lost", "lost_random")
_CONTROLS = ("noise", "grey", "other_patch")
_CONFUSION = ("concept", "target", "turned", "low", "high", "photos", *_CONTROLS, "told")


def trace_table(traces: list[dict[str, Any]]) -> pd.DataFrame:
    """traces: as `Trace.to_json` gives them; see Atlas.found_traces."""
    rows = [
        [*(trace[key] for key in _LATE), origins["layer"], one["cell"], one["contribution"], one["photos"],
         origins["lost_named"], origins["lost_random"]]
        for trace in traces for origins in trace["origins"] for one in origins["contributors"]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*_LATE, *_EARLIER])


def found_traces(atlas: Atlas) -> pd.DataFrame:
    """See Atlas.found_traces."""
    every = (path for name in atlas.layer_names for path in atlas.files.committed(paths.traces(name)))
    return trace_table([atlas.files.read_json(path) for path in every])


def found_confusions(atlas: Atlas) -> pd.DataFrame:
    """See Atlas.found_confusions."""
    rows = []
    for name in atlas.layer_names:
        if atlas.files.has(path := paths.confusion_list(name)):
            kept = atlas.files.read_json(path)
            grid = atlas.layer(name).grid(kept["grid"])
            rows += [[name, grid.side, *_confusion(grid, entry)] for entry in kept["entries"]]
    return pd.DataFrame(rows, columns=[*_LATE, *_CONFUSION])


def _confusion(grid: Grid, entry: dict[str, Any]) -> list[Any]:
    proposal, proof = entry["proposal"], entry["proof"]
    column, row = grid.coordinates[proposal["k"]].tolist()
    found = [f"{column},{row}", proposal["concept"], grid.layer.atlas.class_names.labels[proposal["target"]]]
    if proof is None:
        return [*found, *[float("nan")] * 3, 0, *[float("nan")] * len(_CONTROLS), entry["told"]]
    controls = [proof["controls"][name]["rate"] for name in _CONTROLS]
    return [*found, proof["patch"]["rate"], *proof["patch"]["interval"], proof["scored"], *controls, entry["told"]]
