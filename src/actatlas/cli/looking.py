"""Commands that look at an atlas."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actatlas.cli.shared import (
    examples_option,
    folder_option,
    grid_side,
    has_screen,
    inches,
    open_option,
    renew_page,
    say,
    whole_number,
    write_picture,
)
from actatlas.cli.sharing import outside
from actatlas.errors import Locked, MissingExtra, StorageError, UnfinishedAtlas, UsageError
from actatlas.progress import StderrProgress

if TYPE_CHECKING:
    from actatlas.atlas import Atlas, Grid
    from actatlas.values import Examples

# --- picture, view, site


def picture_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument("--layer", default=None, metavar="L", help="default: the latest")
    command.add_argument("--grid", default=None, type=grid_side, metavar="G", help="default: the finest")
    command.add_argument(
        "-o", "--out", required=True, type=Path, metavar="FILE", help=".png; or .pdf, .svg with title and caption",
    )  # fmt: skip
    command.add_argument(
        "--dpi", type=whole_number, default=None, metavar="N", help="dots an inch; a .pdf has 300 by default"
    )
    command.add_argument(
        "--width-in", type=inches, default=None, metavar="W", help="inches; default: icons as painted, a .pdf 6"
    )
    command.add_argument("--labels", action="store_true", help="write each region's class on it")
    command.add_argument("--density", action="store_true", help="icons as large as their cells are full")


def picture(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import api
    from actatlas import picture as drawing

    atlas = api.open(options.folder)
    layer = atlas.layer(options.layer or atlas.layer_names[-1])
    if not layer.grid_sides:
        raise UsageError(
            f"{atlas.folder} has no grid of {layer.name} yet; run its build command again, which continues"
        )
    grid = layer.grid(options.grid or layer.grid_sides[-1])
    kind = options.out.suffix.lower()
    if kind in (".pdf", ".svg"):
        return _paper_figure(options, grid)
    if kind != ".png":
        raise UsageError(f"a picture is a .png, .pdf or .svg, not {options.out.name}")
    if options.dpi == 0:
        raise UsageError("--dpi is at least 1, not 0")
    dpi = options.dpi or (300 if options.width_in else None)
    icon_px = None if options.width_in is None else max(round(options.width_in * dpi / grid.side), 1)
    drawn = drawing.draw(grid, with_labels=options.labels, by_density=options.density, icon_px=icon_px)
    told = {
        "Title": f"{layer.name}, {grid.side} x {grid.side}",
        "Description": drawing.caption(grid),
        "Software": "actatlas",
    }
    out = write_picture(drawn, options.out, dpi, told)
    say(options, f"{out}: {layer.name}, {grid.side} × {grid.side}, {len(grid)} cells")
    return {"picture": str(out), "layer": layer.name, "grid": grid.side, "cells": len(grid), "size": list(drawn.size)}


def _paper_figure(options: argparse.Namespace, grid: Grid) -> dict[str, Any]:
    from actatlas.store.durable import write_file

    drawn = grid.figure(width_in=options.width_in or 6.0, with_labels=options.labels, by_density=options.density)
    from actatlas import figures  # with matplotlib, which is there by now

    out = options.out.expanduser().resolve()
    write_file(out, figures.saved(drawn, out.suffix.lower()[1:], options.dpi or 300))
    width, height = drawn.get_size_inches().tolist()
    say(
        options,
        f"{out}: {grid.layer.name}, {grid.side} × {grid.side}, {len(grid)} cells, {width:.1f} × {height:.1f} in",
    )
    size = [round(width, 3), round(height, 3)]
    return {"picture": str(out), "layer": grid.layer.name, "grid": grid.side, "cells": len(grid), "size_in": size}


def view_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument("--port", type=int, default=0, help="default: a free one")
    open_option(command)


def view(options: argparse.Namespace) -> dict[str, Any]:
    import webbrowser

    from actatlas.lab import Lab
    from actatlas.server import make_server

    # The lab's threads sleep while they wait: the browser that asks wants the processor too (benchmarks/RESULTS.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    folder = options.folder.expanduser().resolve()
    try:
        renew_page(folder)
    except (Locked, StorageError) as error:  # it is being built, is not finished, or may not be written
        if (folder / "manifest.json").is_file():
            print(f"the page is as it was: {error}", file=sys.stderr, flush=True)
    server = make_server(folder, options.port, Lab(folder))
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    if has_screen(options):
        webbrowser.open(address)
    print(f"{folder} at {address} (Ctrl-C ends it)", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    return {"atlas": str(folder), "address": address}


def site_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument(
        "-o", "--out", type=Path, default=None, metavar="OUT", help="default: the atlas's own site folder"
    )
    command.add_argument(
        "--tour",
        type=Path,
        default=None,
        metavar="FILE.md",
        help="stops of a tour, kept in the atlas; see site.md",
    )
    examples_option(command)


def site(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import atlas as reader
    from actatlas.site import SITE_NAMES, SiteSettings, own_examples, write_site
    from actatlas.store.durable import write_file
    from actatlas.store.staging import staged

    atlas = reader.open(options.folder)
    if options.tour is not None:
        atlas = _with_tour(atlas, options.tour)
    examples = options.examples or own_examples(atlas)
    if options.out is None:
        page = _own_site(atlas, examples)
    else:
        out = outside(atlas, options.out)
        with staged(out, lambda name: name in SITE_NAMES) as folder:
            write_site(atlas, folder, write_file, StderrProgress(), SiteSettings(examples))
        page = out / "index.html"
    say(options, f"{page}")
    return {"site": str(page), "examples": examples}


def _own_site(atlas: Atlas, examples: Examples) -> Path:
    """Written anew: what was found out since may be newer than the page."""
    from actatlas.site import own_examples, renew_own_site

    if not atlas.files.has("site/index.html"):
        raise UsageError(f"{atlas.folder} has no site yet; run its build command again, or name a folder with -o")
    if not atlas.is_finished and examples != own_examples(atlas):
        raise UnfinishedAtlas(f"{atlas.folder} is not finished; run its build command again with --examples {examples}")
    if atlas.is_finished:
        renew_own_site(atlas, StderrProgress(), examples)
    return atlas.folder / "site" / "index.html"


def _with_tour(atlas: Atlas, path: Path) -> Atlas:
    from actatlas.site.tour import parse_tour, require_layers
    from actatlas.store import AtlasFolder, paths, writing

    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"{path} cannot be read ({reason}); name a Markdown file") from None
    stops = parse_tour(text, str(path))
    require_layers(stops, [*atlas.layer_names, *(one.title for one in atlas.class_atlases)], str(path))
    with writing(atlas.folder):
        files = AtlasFolder.existing(atlas.folder)
        with files.reopened():
            files.write_json(paths.TOUR, stops)
    return type(atlas)(files)


# --- report, verify, doctor


def report_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument(
        "--seeds", type=whole_number, default=1, metavar="N", help="further layouts to compare the map with (default 1)"
    )


def report(options: argparse.Namespace) -> dict[str, Any]:
    import importlib.util

    if importlib.util.find_spec("umap") is None:
        raise MissingExtra("umap-learn", "build", "a report, which lays the map out once more")
    from actatlas import atlas as reader
    from actatlas import report as reporting

    figures = reporting.report(reader.open(options.folder), options.seeds, StderrProgress())
    for line in reporting.as_text(figures):
        say(options, line)
    return figures


def verify(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.store import AtlasFolder

    folder = options.folder.expanduser().resolve()
    count = AtlasFolder.existing(folder).verify()
    say(options, f"{folder}: {count} files are what the manifest says")
    return {"atlas": str(folder), "files": count}


def doctor(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas.doctor import as_text, examine

    found = examine()
    for line in as_text(found):
        say(options, line)
    return found
