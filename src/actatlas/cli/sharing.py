"""Commands that give an atlas to others: one file to send, one folder to host."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actatlas.cli.shared import examples_option, folder_option, grid_side, say
from actatlas.errors import UsageError
from actatlas.progress import StderrProgress

if TYPE_CHECKING:
    from actatlas.atlas import Atlas

# --- export


def export_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument("file", metavar="FILE.html", type=Path, help="the file to write")
    command.add_argument("--layer", action="append", default=[], metavar="NAME", help="repeatable; default: all")
    command.add_argument(
        "--grid", action="append", default=[], type=grid_side, metavar="G", help="repeatable; default: all"
    )
    examples_option(command)


def export(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import atlas as reader
    from actatlas.site import SiteSettings, own_examples, single_file
    from actatlas.store.durable import write_file

    atlas = reader.open(options.folder)
    file = options.file.expanduser().resolve()
    if file.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{file} is no name of a page; it ends with .html")
    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a file")
    root = atlas.folder.resolve()
    if file.is_relative_to(root) and atlas.files.has(file.relative_to(root).as_posix()):
        raise UsageError(f"{file} is a file of the atlas itself; name another")
    settings = SiteSettings(options.examples or own_examples(atlas), tuple(options.layer), tuple(options.grid))
    layers = settings.layers_of(atlas)
    page = single_file(atlas, settings, StderrProgress())
    write_file(file, page)
    say(options, f"{file}: {len(page) / 1e6:,.1f} MB; it opens by a double click and needs nothing else")
    return {
        "file": str(file), "bytes": len(page), "examples": settings.examples,
        "layers": {layer.title: settings.sides_of(layer) for layer in layers},
    }  # fmt: skip


# --- publish


def publish_options(command: argparse.ArgumentParser) -> None:
    folder_option(command)
    command.add_argument("out", metavar="OUT", type=Path, help="a new folder, or an earlier publication")
    command.add_argument(
        "--licence", default="", metavar="TEXT", help="such as CC-BY-4.0; default: it says that none was given"
    )
    command.add_argument(
        "--url", default="", metavar="ADDRESS", help="where the folder will be: links to it then show its picture"
    )
    examples_option(command)


def publish(options: argparse.Namespace) -> dict[str, Any]:
    from actatlas import atlas as reader
    from actatlas.publishing import PublishSettings, publish
    from actatlas.site import own_examples

    atlas = reader.open(options.folder)
    out = outside(atlas, options.out)
    settings = PublishSettings(options.examples or own_examples(atlas), options.licence.strip(), options.url.strip())
    done = publish(atlas, out, settings, StderrProgress())
    totals = done.totals
    say(options, f"{out}: {totals.files:,} files, {totals.bytes / 1e6:,.1f} MB; the largest is {totals.largest[0]}")
    for host, problems in done.problems.items():
        say(options, f"  {host}: {'; '.join(problems) if problems else 'takes it'}")
    say(options, f"Photos: {settings.examples}. Licence: {settings.licence or 'none was given (--licence TEXT)'}.")
    return {
        "publication": str(out), "page": str(out / "index.html"), "files": totals.files, "bytes": totals.bytes,
        "largest": {"path": totals.largest[0], "bytes": totals.largest[1]}, "examples": settings.examples,
        "licence": settings.licence or None,
        "hosts": [
            {"host": host, "fits": not problems, "problems": problems} for host, problems in done.problems.items()
        ],
    }  # fmt: skip


def outside(atlas: Atlas, folder: Path) -> Path:
    """Raises UsageError for a folder in the atlas, whose files are its own."""
    out = folder.expanduser().resolve()
    if out == atlas.folder or atlas.folder in out.parents:
        raise UsageError(f"{out} is in the atlas's own folder; name one beside it")
    return out
