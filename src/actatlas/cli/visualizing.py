"""The command that looks beside the atlas: `actatlas visualize WHAT`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actatlas.cli.shared import SPEC_HELP, cell_place, grid_side, map_position, opened, say, whole_number
from actatlas.errors import UsageError
from actatlas.progress import StderrProgress

if TYPE_CHECKING:
    from actatlas.toolkit import Studio, Visualisation

WHATS = ("channel", "neuron", "direction", "class", "grid", "attribution")
# What each cannot do without, and which other options it knows.
_NEEDS = {
    "channel": ("layer", "channel"), "neuron": ("layer", "channel"), "direction": ("layer",), "class": ("target",),
    "grid": ("photo",), "attribution": ("photo", "layer", "target"),
}  # fmt: skip
_KNOWS = {
    "channel": ("count", "negative"), "neuron": ("count", "at"),
    "direction": ("count", "vector", "cell", "minus", "grid"), "class": ("count", "px"),
    "grid": ("layer", "groups"), "attribution": ("versus", "by", "count"),
}  # fmt: skip
_OPTIONAL = ("layer", "channel", "target", "photo", "count", "negative", "at", "vector", "cell", "minus", "grid", "px",
    "groups", "versus", "by")  # fmt: skip


def visualize_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "what", choices=WHATS, metavar="WHAT",
        help="channel, neuron, direction or class: what it answers to; grid: what a photo is to a layer; attribution: "
        "what in a photo speaks for a class",
    )  # fmt: skip
    command.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="an atlas folder, or give --model")
    command.add_argument("--model", default=None, metavar="SPEC", help=SPEC_HELP)
    command.add_argument(
        "--photos", default=None, metavar="IMAGES",
        help="photos to learn from and to cut patches of; default: the atlas's, or those that packages carry",
    )  # fmt: skip
    command.add_argument("--layer", action="append", default=None, metavar="L", help="repeatable for grid")
    command.add_argument("--channel", type=whole_number, default=None, metavar="C", help="of channel and neuron")
    command.add_argument(
        "--at", type=map_position, default=None, metavar="ROW,COLUMN", help="of neuron; default: the middle"
    )
    command.add_argument("--negative", action="store_true", default=None, help="of channel: what it answers least to")
    command.add_argument(
        "--vector", type=Path, default=None, metavar="FILE", help="of direction: .npy, .npz or .safetensors"
    )
    command.add_argument("--cell", type=cell_place, default=None, metavar="C,R", help="of direction: a cell's mean")
    command.add_argument("--minus", type=cell_place, default=None, metavar="C,R", help="with --cell: less another cell")
    command.add_argument("--grid", type=grid_side, default=None, metavar="G", help="of --cell; default: the coarsest")
    command.add_argument("--class", dest="target", default=None, metavar="NAME", help="of class and attribution")
    command.add_argument("--versus", default=None, metavar="NAME", help="of attribution: against another class")
    command.add_argument(
        "--by", choices=["place", "channel"], default=None, help="of attribution: where (default), or in which channels"
    )
    command.add_argument("--photo", type=Path, default=None, metavar="FILE", help="of grid and attribution")
    command.add_argument(
        "--groups", type=whole_number, default=None, metavar="N", help="of grid: N groups of channels, not positions"
    )
    command.add_argument(
        "--count", type=whole_number, default=None, metavar="N",
        help="pictures (default 4), or channels for and against (default 5)",
    )  # fmt: skip
    command.add_argument("--px", type=whole_number, default=None, metavar="S", help="of class: side of its pictures")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random; default 0")
    command.add_argument(
        "-o", "--out", type=Path, action="append", default=None, metavar="FILE",
        help="FILE.png or FILE.html, repeatable; default: a picture named by what it shows",
    )  # fmt: skip


def visualize(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.working import need_torch

    _check(options)
    need_torch("what paints and attributes")
    from actatlas.toolkit import Studio
    from actatlas.toolkit.result import kind_of

    for out in options.out or ():
        kind_of(out)
    studio = Studio(
        options.model if options.folder is None else opened(options), options.photos, options.seed, StderrProgress()
    )
    found = _MAKERS[options.what](studio, options)
    outs = options.out or [Path(f"{_slug(found.leaf().title)}.png")]
    written = [str(found.save(out)) for out in outs]
    for line in (found.leaf().title, *found.leaf().lines, *written):
        say(options, line)
    return {"what": options.what, **found.to_json(), "files": written}


def _check(options: argparse.Namespace) -> None:
    if options.folder is None and options.model is None:
        raise UsageError("give an atlas folder, or --model SPEC")
    for name in _NEEDS[options.what]:
        if getattr(options, name) is None:
            raise UsageError(f"visualize {options.what} needs {_flag(name)}")
    known = {*_NEEDS[options.what], *_KNOWS[options.what]}
    for name in _OPTIONAL:
        if getattr(options, name) is not None and name not in known:
            raise UsageError(f"visualize {options.what} does not know {_flag(name)}; see actatlas visualize --help")
    if options.what != "grid" and len(options.layer or ()) > 1:
        raise UsageError(f"visualize {options.what} looks at one layer; give --layer once")


def _channel(studio: Studio, options: argparse.Namespace) -> Any:
    from actatlas import toolkit

    count, negative = _or(options.count, 4), bool(options.negative)
    return toolkit.channel(studio, options.layer[0], options.channel, count=count, negative=negative)


def _neuron(studio: Studio, options: argparse.Namespace) -> Any:
    from actatlas import toolkit

    return toolkit.neuron(studio, options.layer[0], options.channel, options.at, count=_or(options.count, 4))


def _direction(studio: Studio, options: argparse.Namespace) -> Visualisation:
    from actatlas import toolkit
    from actatlas.classes.directions import cell_direction
    from actatlas.given import read_vector

    if (options.vector is None) == (options.cell is None):
        raise UsageError("give the direction as --vector FILE, or as --cell COLUMN,ROW of an atlas")
    if options.vector is not None:
        vector, title = read_vector(options.vector), options.vector.name
    elif studio.atlas is None:
        raise UsageError("--cell is of an atlas: give its folder")
    else:
        vector, title = cell_direction(studio.atlas, options.layer[0], options.cell, options.minus, options.grid)
    return toolkit.direction(studio, options.layer[0], vector, title=title, count=_or(options.count, 4))


def _class(studio: Studio, options: argparse.Namespace) -> Any:
    from actatlas import toolkit

    return toolkit.class_picture(studio, options.target, count=_or(options.count, 4), px=options.px)


def _grid(studio: Studio, options: argparse.Namespace) -> Any:
    from actatlas import toolkit

    return toolkit.activation_grid(studio, options.photo, options.layer or (), groups=_or(options.groups, 0))


def _attribution(studio: Studio, options: argparse.Namespace) -> Any:
    from actatlas import toolkit

    photo, layer = options.photo, options.layer[0]
    if options.by == "channel":
        return toolkit.channel_attribution(
            studio, photo, layer, options.target, versus=options.versus, count=_or(options.count, 5)
        )
    if options.count is not None:
        raise UsageError("--count is of pictures, or of channels: with attribution give --by channel too")
    return toolkit.spatial_attribution(studio, photo, layer, options.target, versus=options.versus)


_MAKERS = {
    "channel": _channel, "neuron": _neuron, "direction": _direction, "class": _class, "grid": _grid,
    "attribution": _attribution,
}  # fmt: skip


def _flag(name: str) -> str:
    return "--class NAME" if name == "target" else f"--{name}"


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def _slug(title: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in title.partition(" · ")[0]).split()
    return "-".join(words)[:80] or "picture"
