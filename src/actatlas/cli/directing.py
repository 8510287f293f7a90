"""The command that names a direction of a layer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from actatlas.cli.shared import cell_place, folder_option, grid_side, renew_page, say
from actatlas.errors import UsageError

_STRONGEST = 5


def direction_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument("name", metavar="NAME", help="what the page calls it; one of the same name is replaced")
    command.add_argument("--layer", default=None, metavar="L", help="default: the latest")
    command.add_argument("--vector", type=Path, default=None, metavar="FILE", help=".npy, .npz or .safetensors of (C,)")
    command.add_argument("--cell", type=cell_place, default=None, metavar="C,R", help="a cell's mean less the layer's")
    command.add_argument("--minus", type=cell_place, default=None, metavar="C,R", help="of --cell: less another cell's")
    command.add_argument("--grid", type=grid_side, default=None, metavar="G", help="of --cell; default: the coarsest")
    command.add_argument("--forget", action="store_true", help="take it from the page; without --layer of all")


def direction(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import api
    from actatlas.classes.directions import cell_direction
    from actatlas.classes.following import grid_of
    from actatlas.given import read_vector

    atlas = api.open(options.folder)
    if [options.vector is not None, options.cell is not None, options.forget].count(True) != 1:
        raise UsageError("give the direction as --vector FILE or --cell COLUMN,ROW, or --forget one")
    if options.minus is not None and options.cell is None:
        raise UsageError("--minus is what is taken from --cell; give both")
    result: dict[str, Any] = {"name": options.name, "atlas": str(atlas.folder)}
    if options.forget:
        atlas.forget_direction(options.name, options.layer)
        renew_page(atlas.folder)
        say(options, f"{options.name}: forgotten")
        return result | {"forgotten": True}
    layer = atlas.layer(options.layer or atlas.layer_names[-1])
    vector = (
        cell_direction(atlas, layer.name, options.cell, options.minus, options.grid)[0]
        if options.vector is None
        else read_vector(options.vector)
    )
    cells = grid_of(atlas, layer.name, options.grid)
    atlas.keep_direction(options.name, vector, layer.name)
    renew_page(atlas.folder)
    along, top = cells.along(vector), cells.top_classes(1)
    found = [
        {
            "cell": cells.coordinates[k].tolist(), "cosine": round(float(along[k]), 4),
            "label": None if top is None else cells.class_name(int(top[0][k, 0])),
        }
        for k in (-along).argsort(kind="stable")[:_STRONGEST]
    ]  # fmt: skip
    say(options, f"{options.name} in {layer.name}: kept. The cells of the {cells.side} × {cells.side} grid nearest it:")
    for one in found:
        say(options, f"  {one['cell'][0]},{one['cell'][1]}  {one['cosine']:+.2f}  {one['label'] or ''}".rstrip())
    return result | {"layer": layer.name, "grid": cells.side, "strongest": found}
