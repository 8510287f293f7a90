"""Commands about one class: its atlas, beside another, through the layers."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from actatlas.cli.shared import cell_place, folder_option, grid_side, opened, renew_page, say, write_picture
from actatlas.progress import StderrProgress

_CLASS_HELP = "a class: its name, a part of it, a synonym, its WordNet id, or its index"


def class_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument("name", metavar="NAME", help=_CLASS_HELP)
    command.add_argument("--layer", default=None, metavar="L", help="default: the latest")
    command.add_argument("--grid", default=None, type=grid_side, metavar="G", help="default 8, or 10 with --versus")
    command.add_argument("--versus", default=None, metavar="NAME", help="another class: what tells the two apart")
    command.add_argument(
        "--most", type=int, default=0, metavar="N", help="activations with the highest attribution; default: 8 a cell"
    )
    command.add_argument(
        "--min-images", type=int, default=1, metavar="N", help="cells of fewer photos are left out; default 1"
    )
    command.add_argument("--layout", choices=["umap", "tsne"], default="umap", help="default umap; tsne needs [tsne]")
    command.add_argument("-o", "--out", type=Path, default=None, metavar="FILE.png", help="the picture")
    _model_option(command)


def class_atlas(options: argparse.Namespace) -> dict[str, Any]:
    atlas = opened(options)
    how = {
        "most": options.most,
        "layout": options.layout,
        "min_images": options.min_images,
        "progress": StderrProgress(),
    }
    if options.versus is None:
        made = atlas.class_atlas(options.name, options.layer, options.grid or 8, **how)
    else:
        made = atlas.compare(options.name, options.versus, options.layer, options.grid or 10, **how)
    picture = write_picture(made.picture(), options.out or made.folder / "picture.png")
    renew_page(atlas.folder)
    result: dict[str, Any] = {
        "class": made.subject, "layer": made.layer.name, "activations": made.activation_count,
        "images": made.image_count, "labelled": made.labelled_count, "coverage": made.coverage,
        "scored": made.scored_count,
        "cells": len(made.grid(made.side)), "atlas": str(made.folder), "picture": str(picture),
    }  # fmt: skip
    every = made.layer.activation_count
    of = f" in the {made.scored_count:,} of {every:,} that carry attributions" if made.scored_count < every else ""
    say(
        options,
        f"{made.subject} in {made.layer.name}: {result['activations']:,} activations of {result['images']:,} photos, "
        f"{made.coverage:.0%} of all that speaks for it{of}, in {result['cells']} cells",
    )
    if options.versus is not None:
        told = made.table().rename(columns={"score": "difference"})
        columns = ["cell", "difference", "count", "images", "label"]
        result["told_apart"] = [dict(zip(columns, row, strict=True)) for row in told[columns].values.tolist()]
        for row in result["told_apart"][:10]:
            photos = "1 photo " if row["images"] == 1 else f"{row['images']} photos"
            say(options, f"  {row['cell']:>6}  {row['difference']:+.2f}  {photos}  {row['label']}")
    say(options, f"{picture}")
    return result


def trace_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument("--class", dest="name", required=True, metavar="NAME", help=_CLASS_HELP)
    command.add_argument("--layer", default=None, metavar="L", help="of the late cell; default: the latest")
    command.add_argument("--grid", default=None, type=grid_side, metavar="G", help="default: each layer's coarsest")
    command.add_argument(
        "--cell",
        default=None,
        type=cell_place,
        metavar="C,R",
        help="the late cell; default: the one that speaks most for it",
    )
    command.add_argument("-o", "--out", type=Path, default=None, metavar="FILE.png", help="the trace as a picture")
    command.add_argument("--strip", type=Path, default=None, metavar="FILE.png", help="the layers' maps as a picture")
    _model_option(command)


def trace(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.lettering import percent

    atlas = opened(options)
    index = atlas.class_names.find(options.name)
    title = atlas.class_names.labels[index]
    table = atlas.follow(index, options.grid)
    found = atlas.trace(index, options.layer, options.grid, options.cell)
    renew_page(atlas.folder)
    stem = title.replace(" ", "-").replace("/", "-")
    picture = write_picture(found.picture(), options.out or Path(f"{stem}-trace.png"))
    strip = write_picture(
        atlas.follow_picture(index, options.grid),
        options.strip or picture.with_name(f"{picture.stem}-layers.png"),
    )
    columns = ["cell", "attribution", "error", "deviations", "count", "images", "label"]
    layers = []
    for name in atlas.layer_names:
        rows = table[table.layer == name]
        chosen = [rows.head(8), rows.tail(8).iloc[::-1]]
        speaks_for, against = (
            [dict(zip(columns, r, strict=True)) for r in part[columns].values.tolist()] for part in chosen
        )
        for row in (*speaks_for, *against):
            row["error"] = row["error"] if math.isfinite(row["error"]) else None  # of a single photo
        layers.append({"layer": name, "for": speaks_for, "against": against})
        cells = ", ".join(f"{row['cell']} ({_told(row)})" for row in speaks_for[:5])
        say(options, f"{name}: speak most for {title}: {cells}")
    value = found.to_json()
    for origin in value["origins"]:
        cells = ", ".join(f"{c['cell']} {percent(c['contribution'])}" for c in origin["contributors"])
        say(
            options,
            f"{value['layer']} {value['cell']} is made of {origin['layer']}: {cells}; without them it loses "
            f"{percent(origin['lost_named'])} of its answer, without as many others {percent(origin['lost_random'])}",
        )
    say(options, f"{picture}\n{strip}")
    return {"class": title, "layers": layers, "trace": value, "picture": str(picture), "strip": str(strip)}


def _told(row: dict[str, Any]) -> str:
    return f"{row['attribution']:+.2f}" + (f" ± {row['error']:.2f}" if row["error"] else "")


def _model_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default=None, metavar="SPEC", help="the atlas's network; default: by its own spec")
