"""The command that places other photos on a finished atlas."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from actatlas.cli.shared import folder_option, grid_side, opened, renew_page, say, write_picture
from actatlas.progress import StderrProgress


def project_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument("images", metavar="PHOTOS", help="a second set: a folder, list or CSV, as for build")
    command.add_argument("--name", default="", metavar="NAME", help="by which it is kept; default: the photos' own")
    command.add_argument("--layer", action="append", default=[], metavar="L", help="repeatable; default: all")
    command.add_argument("--grid", default=None, type=grid_side, metavar="G", help="of the picture; default: coarsest")
    command.add_argument("-o", "--out", type=Path, default=None, metavar="FILE.png", help="the latest layer's picture")
    command.add_argument("--model", default=None, metavar="SPEC", help="the atlas's network; default: by its own spec")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random; default 0")


def project(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.projection import draw_projection

    atlas = opened(options)
    found = atlas.project(options.images, options.name, options.layer, seed=options.seed, progress=StderrProgress())
    layers = [found.atlas.layer(name) for name in found.layer_names]
    for layer in layers:
        for side in layer.grid_sides[:1] if options.grid is None else [options.grid]:
            say(options, "\n  ".join([f"{layer.name}:", *found.told(layer.grid(side))]))
    grid = layers[-1].grid(layers[-1].grid_sides[0] if options.grid is None else options.grid)
    out = options.out or found.folder / "picture.png"
    picture = write_picture(draw_projection(found, grid), out)
    renew_page(atlas.folder)
    say(options, f"{picture}")
    return {
        "name": found.name, "atlas": str(atlas.folder), "projection": str(found.folder),
        "photos": found.facts["photos"], "layers": found.facts["layers"], "picture": str(picture),
    }  # fmt: skip
