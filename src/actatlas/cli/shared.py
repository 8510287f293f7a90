"""What commands have in common: options, and where results go."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from actatlas.errors import UsageError
from actatlas.progress import StderrProgress

if TYPE_CHECKING:
    from PIL import Image

    from actatlas.working import WorkingAtlas

SPEC_HELP = (
    "packaged:efficientnet-lite0 (default), timm:NAME, torchvision:NAME@WEIGHTS, hf:NAME or hf:FOLDER, "
    "lucid:inceptionv1, python:module:function or zoo.py:function; behind a ?: checkpoint=FILE, num_classes=N, "
    "labels=FILE (docs/networks.md)"
)


class Parser(argparse.ArgumentParser):
    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.register("type", Path, _path)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _path(text: str) -> Path:
    """An empty one, of a variable that nobody set, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a file or folder")
    return Path(text)


def command(commands: Any, name: str, run: Any, summary: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else")
    command.set_defaults(run=run)
    return command


def folder_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="DIR", type=Path, help="an atlas folder")


def open_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--no-open", action="store_true", help="do not open the page, even where there is a screen")


def examples_option(command: argparse.ArgumentParser, default: str = "as on the atlas's own page") -> None:
    from actatlas.values import EXAMPLES

    command.add_argument(
        "--examples", choices=EXAMPLES, default=None,
        help="what the page shows of photos: nothing; small patches; these and each photo, at most 256 px (thumbs) or "
        f"1,024 px (originals) a side, without metadata; default: {default}",
    )  # fmt: skip


def grid_side(text: str) -> int:
    if not text.isdigit() or not 2 <= int(text) <= 320:
        raise argparse.ArgumentTypeError(f"a grid's side is a whole number from 2 to 320, not {text}")
    return int(text)


def whole_number(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number, 0 or more, not {text}")
    return int(text)


def inches(text: str) -> float:
    try:
        width = float(text)
    except ValueError:
        width = 0.0
    if not 0.5 <= width <= 100:
        raise argparse.ArgumentTypeError(f"a width in inches, 0.5 to 100, not {text}")
    return width


def cell_place(text: str) -> tuple[int, int]:
    return _pair(text, "a cell is COLUMN,ROW such as 12,7")


def map_position(text: str) -> tuple[int, int]:
    return _pair(text, "a position is ROW,COLUMN such as 7,7")


def _pair(text: str, what: str) -> tuple[int, int]:
    first, comma, second = text.partition(",")
    if not comma or not first.strip().isdigit() or not second.strip().isdigit():
        raise argparse.ArgumentTypeError(f"{what}, not {text}")
    return int(first), int(second)


def opened(options: argparse.Namespace) -> WorkingAtlas:
    """The atlas that `folder` names, with the network that `model` names where it names one."""
    from actatlas import api

    atlas = api.open(options.folder)
    if options.model is not None:
        atlas.network = options.model
    return atlas


def renew_page(folder: Path) -> None:
    """The page in an atlas's folder shows what was found out since it was written. Raises Locked, StorageError."""
    from actatlas import atlas as reader
    from actatlas.site import SiteFiles, is_behind, renew_own_site

    atlas = reader.open(folder)
    if atlas.files.has("site/index.html") and is_behind(atlas, SiteFiles(atlas.folder)):
        renew_own_site(atlas, StderrProgress())


def has_screen(options: argparse.Namespace) -> bool:
    if options.no_open or options.json or os.environ.get("CI"):
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_page(page: Path, options: argparse.Namespace) -> bool:
    import webbrowser

    return has_screen(options) and webbrowser.open(page.as_uri())


def say(options: argparse.Namespace, text: str) -> None:
    if not options.json:
        print(text)


def write_picture(
    drawn: Image.Image, path: Path, dpi: int | None = None, told: Mapping[str, str] | None = None
) -> Path:
    """As PNG, whole or not at all; where it lies. dpi, told: what the file says of itself"""
    from actatlas.store.durable import write_file
    from actatlas.store.pictures import png

    path = path.expanduser().resolve()
    write_file(path, png(drawn, dpi=dpi, told=told))
    return path
