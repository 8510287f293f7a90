"""The command line: one thin function a command. No work is done here.

Results go to stdout, progress and messages to stderr; with --json stdout carries one JSON object and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from actatlas import __version__
from actatlas.errors import ActatlasError, MissingExtra, UsageError
from actatlas.progress import StderrProgress, duration

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is in docs/cli.md."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wants_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        options = parser().parse_args(arguments)
        result = options.run(options)
    except ActatlasError as error:
        return _tell(error, error.exit_code, wants_json, getattr(error, "fields", {}))
    except KeyboardInterrupt:
        return _tell("stopped; what is finished is kept, and the same command continues", INTERRUPTED, wants_json, {})
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # a fault of ours: still one line, the traceback for those who ask
        if os.environ.get("ACTATLAS_DEBUG"):
            raise
        text = f"a fault of actatlas: {type(error).__name__}: {error} (set ACTATLAS_DEBUG=1 to see where)"
        return _tell(text, 1, wants_json, {})
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    return 0


def parser() -> argparse.ArgumentParser:
    top = _Parser(prog="actatlas", description="Activation atlases: see what a vision network has learned.")
    top.add_argument("--version", action="version", version=f"actatlas {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    _demo_options(_command(commands, "demo", demo, "open the atlas that ships with actatlas; no torch needed"))
    _layers_options(_command(commands, "layers", layers, "list a network's layers, and which make good atlases"))
    _build_options(_command(commands, "build", build, "photos in, atlas out; the same command continues"))
    _picture_options(_command(commands, "picture", picture, "draw one grid of an atlas as a picture"))
    _view_options(_command(commands, "view", view, "show an atlas in the browser, from 127.0.0.1"))
    _site_options(_command(commands, "site", site, "write an atlas's page as a static folder"))
    _report_options(_command(commands, "report", report, "say how far an atlas can be trusted, and its worst icons"))
    _folder_option(_command(commands, "verify", verify, "check every file of an atlas against its manifest"))
    _command(commands, "doctor", doctor, "say what this machine has: versions, devices, extras")
    return top


# --- demo


def _demo_options(command: argparse.ArgumentParser) -> None:
    _open_option(command)


def demo(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.demo import shipped_atlas

    atlas = shipped_atlas()
    page = atlas.folder / "site" / "index.html"
    opened = _open_page(page, options)
    _print(options, f"{atlas.title}\n{atlas.origin}")
    _print(options, f"{'Opened' if opened else 'Open'} {page}")
    return {"atlas": str(atlas.folder), "site": str(page), "opened": opened}


# --- layers


def _layers_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("spec", metavar="SPEC", help=_SPEC_HELP)


def layers(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.api import load_network

    network = load_network(options.spec)
    rows: list[dict[str, Any]] = [
        {
            "name": layer.name, "type": layer.type, "shape": list(layer.shape), "stride": layer.stride,
            "receptive_field_px": layer.receptive_field_px, "recommended": layer.recommended,
        }
        for layer in network.layers
    ]  # fmt: skip
    width = max((len(row["name"]) for row in rows), default=4)
    _print(options, f"  {'layer':{width}}  {'type':16}  {'shape':>15}  {'stride':>6}  {'field px':>8}")
    for row in rows:
        name, shape = row["name"], " × ".join(map(str, row["shape"]))
        star = "★" if row["recommended"] else " "
        _print(
            options,
            f"{star} {name:{width}}  {row['type']:16}  {shape:>15}  {row['stride']:6}  {row['receptive_field_px']:8}",
        )
    _print(options, "★ recommended: after a non-linearity, spread over the depth")
    return {"spec": network.spec, "layers": rows}


# --- build


def _build_options(command: argparse.ArgumentParser) -> None:
    from actatlas.values import ATTRIBUTION_METHODS

    command.add_argument(
        "images", metavar="IMAGES", help="a folder, a .txt list, a .csv with a column path, or packaged:demo"
    )
    command.add_argument("--out", required=True, metavar="DIR", type=Path, help="the atlas folder")
    command.add_argument("--model", default=None, metavar="SPEC", help=_SPEC_HELP)
    command.add_argument(
        "--layer", action="append", default=[], metavar="NAME", help="repeatable; default: the recommended layers"
    )
    command.add_argument(
        "--grid", action="append", default=[], type=_grid_side, metavar="G",
        help="cells along an edge, 2 to 320; repeatable; default: by the number of activations",
    )  # fmt: skip
    command.add_argument(
        "--crops", type=int, default=0, metavar="K", help="random crops a photo; default: the photo once, whole"
    )
    command.add_argument("--positions", type=int, default=1, metavar="K", help="activations a crop; default 1")
    command.add_argument(
        "--attribution", choices=[*ATTRIBUTION_METHODS, "none"], default="patch-replacement",
        help="how an activation's effect on each class is estimated; default patch-replacement",
    )  # fmt: skip
    command.add_argument(
        "--precision", choices=["auto", "float32"], default="auto",
        help="auto: half precision where it is faster and agrees to 0.999",
    )  # fmt: skip
    command.add_argument("--no-align", action="store_true", help="lay each layer out on its own")
    command.add_argument("--icon-px", type=int, metavar="PX", help="side of an icon, 8 to 512 input pixels; default 80")
    command.add_argument("--draft", action="store_true", help="paint icons in less than half of the time, less well")
    command.add_argument(
        "--device", default="auto", metavar="NAME", help="cpu, cuda or mps; default: a GPU where there is one"
    )
    command.add_argument("--seed", type=int, default=0, metavar="S", help="of everything random; default 0")
    command.add_argument("--title", default="", help="heads the page")
    command.add_argument(
        "--dry-run", action="store_true", help="say images, layers, time, disk and memory; build nothing"
    )
    _open_option(command)


def build(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import api

    api.need_torch()
    from actatlas import pipeline
    from actatlas.images import open_source

    source = open_source(options.images)
    network = api.load_network(options.model or api.DEFAULT_NETWORK, device=options.device)
    attribution = None if options.attribution == "none" else options.attribution
    collect = api.collect_settings(options.crops, options.positions, attribution, options.precision, options.seed)
    icons = api.icon_settings(options.icon_px, options.draft)
    settings = api.build_settings(options.layer, options.grid, collect, not options.no_align, options.title, icons)
    progress = StderrProgress()
    if options.dry_run:
        return _dry_run(options, network, source, settings, progress)
    out = options.out.expanduser().resolve()
    result = pipeline.summary(pipeline.build(network, source, out, settings, progress))
    page = Path(result["site"])
    opened = _open_page(page, options)
    images = result["images"]
    skipped = f", {images['skipped']} of {images['listed']} skipped" if images["skipped"] else ""
    _print(options, f"{result['atlas']}: {images['used']} photos{skipped}")
    for name, layer in result["layers"].items():
        grids = ", ".join(f"{side} × {side}: {grid['cells']} cells" for side, grid in layer["grids"].items())
        _print(options, f"  {name}: {layer['activations']:,} activations; {grids}")
    _print(options, f"{'Opened' if opened else 'Open'} {page}")
    return result


def _dry_run(options: argparse.Namespace, network: Any, source: Any, settings: Any, progress: Any) -> dict[str, Any]:
    from actatlas import estimate, planning

    plan = planning.make_plan(network, source, settings)
    expected = estimate.expected(network, source, settings, plan, progress)
    _print(options, f"{expected['images']:,} images, {expected['activations']:,} activations a layer")
    _print(options, f"layers: {', '.join(expected['layers'])}; grids: {', '.join(map(str, expected['grids']))}")
    stages = ", ".join(f"{stage} {duration(s)}" for stage, s in expected["seconds"].items())
    _print(options, f"time about {duration(sum(expected['seconds'].values()))} ({stages})")
    disk, memory = expected["disk_bytes"] / 1e6, expected["memory_bytes"] / 1e9
    _print(options, f"disk about {disk:,.0f} MB, memory about {memory:.1f} GB")
    return expected


# --- picture, view, site


def _picture_options(command: argparse.ArgumentParser) -> None:
    _folder_option(command)
    command.add_argument("--layer", default=None, metavar="L", help="default: the latest")
    command.add_argument("--grid", default=None, type=_grid_side, metavar="G", help="default: the finest")
    command.add_argument("-o", "--out", required=True, type=Path, metavar="FILE.png", help="the picture")
    command.add_argument("--labels", action="store_true", help="write each region's class on it")
    command.add_argument("--density", action="store_true", help="icons as large as their cells are full")


def picture(options: argparse.Namespace) -> dict[str, Any]:
    import io

    from actatlas import atlas as reader
    from actatlas import picture as drawing
    from actatlas.store.durable import write_file

    atlas = reader.open(options.folder)
    layer = atlas.layer(options.layer or atlas.layer_names[-1])
    if not layer.grid_sides:
        raise UsageError(
            f"{atlas.folder} has no grid of {layer.name} yet; run its build command again, which continues"
        )
    grid = layer.grid(options.grid or layer.grid_sides[-1])
    drawn = drawing.draw(grid, with_labels=options.labels, by_density=options.density)
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    out = options.out.expanduser().resolve()
    write_file(out, buffer.getvalue())
    _print(options, f"{out}: {layer.name}, {grid.side} × {grid.side}, {len(grid)} cells")
    return {"picture": str(out), "layer": layer.name, "grid": grid.side, "cells": len(grid), "size": list(drawn.size)}


def _view_options(command: argparse.ArgumentParser) -> None:
    _folder_option(command)
    command.add_argument("--port", type=int, default=0, help="default: a free one")
    _open_option(command)


def view(options: argparse.Namespace) -> dict[str, Any]:
    import webbrowser

    from actatlas.server import make_server

    folder = options.folder.expanduser().resolve()
    server = make_server(folder, options.port)
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    if _has_screen(options):
        webbrowser.open(address)
    print(f"{folder} at {address} (Ctrl-C ends it)", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    return {"atlas": str(folder), "address": address}


def _site_options(command: argparse.ArgumentParser) -> None:
    _folder_option(command)
    command.add_argument(
        "-o", "--out", type=Path, default=None, metavar="OUT", help="default: the atlas's own site folder"
    )


def site(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import atlas as reader
    from actatlas.site import write_site
    from actatlas.store import AtlasFolder
    from actatlas.store.durable import write_file

    atlas = reader.open(options.folder)
    if options.out is None:
        page = atlas.folder / "site" / "index.html"
        if not AtlasFolder(atlas.folder).has("site/index.html"):
            raise UsageError(f"{atlas.folder} has no site yet; run its build command again, or name a folder with -o")
    else:
        out = options.out.expanduser().resolve()
        AtlasFolder.begin(out)
        page = write_site(atlas, out, write_file, StderrProgress())
    _print(options, f"{page}")
    return {"site": str(page)}


# --- report, verify, doctor


def _report_options(command: argparse.ArgumentParser) -> None:
    _folder_option(command)
    command.add_argument(
        "--seeds", type=_count, default=1, metavar="N", help="further layouts to compare the map with (default 1)"
    )


def report(options: argparse.Namespace) -> dict[str, Any]:
    import importlib.util

    if importlib.util.find_spec("umap") is None:
        raise MissingExtra("umap-learn", "build", "a report, which lays the map out once more")
    from actatlas import atlas as reader
    from actatlas import report as reporting

    figures = reporting.report(reader.open(options.folder), options.seeds, StderrProgress())
    for line in reporting.as_text(figures):
        _print(options, line)
    return figures


def verify(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.store import AtlasFolder

    folder = options.folder.expanduser().resolve()
    count = AtlasFolder.existing(folder).verify()
    _print(options, f"{folder}: {count} files are what the manifest says")
    return {"atlas": str(folder), "files": count}


def doctor(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.doctor import examine

    found = examine()
    for name, value in found.items():
        _print(options, f"{name}: {value}")
    return found


# --- shared


_SPEC_HELP = (
    "packaged:efficientnet-lite0 (default), timm:NAME, torchvision:NAME@WEIGHTS, "
    "python:module:function or zoo.py:function"
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _command(commands: Any, name: str, run: Any, summary: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    command.set_defaults(run=run)
    return command


def _folder_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="DIR", type=Path, help="an atlas folder")


def _open_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--no-open", action="store_true", help="do not open the page, even where there is a screen")


def _grid_side(text: str) -> int:
    if not text.isdigit() or not 2 <= int(text) <= 320:
        raise argparse.ArgumentTypeError(f"a grid's side is a whole number from 2 to 320, not {text}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number, 0 or more, not {text}")
    return int(text)


def _has_screen(options: argparse.Namespace) -> bool:
    if options.no_open or options.json or os.environ.get("CI"):
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open_page(page: Path, options: argparse.Namespace) -> bool:
    import webbrowser

    return _has_screen(options) and webbrowser.open(page.as_uri())


def _print(options: argparse.Namespace, text: str) -> None:
    if not options.json:
        print(text)


def _tell(error: object, exit_code: int, wants_json: bool, fields: dict[str, Any]) -> int:
    print(f"actatlas: {error}", file=sys.stderr)
    if wants_json:
        kind = type(error).__name__ if isinstance(error, Exception) else "Stopped"
        details = {"type": kind, "message": str(error), "exit_code": exit_code, "fields": fields}
        print(json.dumps({"error": details}, indent=1, ensure_ascii=False, default=str))
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
