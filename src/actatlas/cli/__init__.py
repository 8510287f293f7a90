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
from typing import Any

from actatlas import __version__
from actatlas.cli import classes, comparing, confusions, directing, looking, making, projecting, sharing, visualizing
from actatlas.cli.shared import Parser, command, folder_option
from actatlas.errors import ActatlasError

INTERRUPTED = 130
_LONGEST = 2_000  # letters of a sentence
CONTINUED = ("build", "class_atlas", "confusions", "project", "trace")  # keep in the atlas what they have done


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is in docs/cli.md."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wants_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    name = ""
    try:
        options = parser().parse_args(arguments)
        name = options.run.__name__
        result = options.run(options)
    except ActatlasError as error:
        return _tell(error, error.exit_code, wants_json, getattr(error, "fields", {}))
    except KeyboardInterrupt:
        then = "; what is finished is kept, and the same command continues" if name in CONTINUED else ""
        return _tell(f"stopped{then}", INTERRUPTED, wants_json, {})
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
    top = Parser(prog="actatlas", description="Activation atlases: see what a vision network has learned.")
    top.add_argument("--version", action="version", version=f"actatlas {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    making.demo_options(
        command(commands, "demo", making.demo, "open the atlas that ships with actatlas; no torch needed")
    )
    making.layers_options(
        command(commands, "layers", making.layers, "list a network's layers, and which make good atlases")
    )
    making.build_options(command(commands, "build", making.build, "photos in, atlas out; the same command continues"))
    looking.picture_options(command(commands, "picture", looking.picture, "draw one grid of an atlas as a picture"))
    looking.view_options(command(commands, "view", looking.view, "show an atlas in the browser, from 127.0.0.1"))
    looking.site_options(command(commands, "site", looking.site, "write an atlas's page as a static folder"))
    sharing.export_options(command(commands, "export", sharing.export, "write an atlas's page as one file to send"))
    sharing.publish_options(
        command(commands, "publish", sharing.publish, "write a folder ready for a public host, with card and licence")
    )
    looking.report_options(
        command(commands, "report", looking.report, "say how far an atlas can be trusted, and its worst icons")
    )
    classes.class_options(command(commands, "class", classes.class_atlas, "make an atlas of one class, or of two"))
    classes.trace_options(
        command(commands, "trace", classes.trace, "follow a class through the layers, and say what its cell is made of")
    )
    comparing.compare_options(
        command(
            commands, "compare", comparing.compare,
            "lay two networks' atlases out as one, and say what appears, vanishes and changes class",
        )
    )  # fmt: skip
    confusions.confusions_options(
        command(commands, "confusions", confusions.confusions, "find what the network misunderstands, and prove it")
    )
    confusions.patch_options(
        command(commands, "patch", confusions.patch, "paste one patch on photos, and see what the network makes of it")
    )
    directing.direction_options(
        command(commands, "direction", directing.direction, "name a direction of a layer: a lens for the atlas's page")
    )
    projecting.project_options(
        command(commands, "project", projecting.project, "place other photos on an atlas, and say where both differ")
    )
    visualizing.visualize_options(
        command(
            commands, "visualize", visualizing.visualize,
            "see what a channel, a direction or a class answers to, what a photo is to a layer, and why",
        )
    )  # fmt: skip
    folder_option(command(commands, "verify", looking.verify, "check every file of an atlas against its manifest"))
    command(commands, "doctor", looking.doctor, "say what this machine has: versions, devices, extras")
    return top


def _on_one_line(text: str) -> str:
    """Names in files of strangers may hold what steers a terminal, and be as long as they like."""
    shown = "".join(" " if ord(letter) < 32 or 127 <= ord(letter) < 160 else letter for letter in text[:_LONGEST])
    return shown + "…" * (len(text) > _LONGEST)


def _tell(error: object, exit_code: int, wants_json: bool, fields: dict[str, Any]) -> int:
    print(f"actatlas: {_on_one_line(str(error))}", file=sys.stderr)
    if wants_json:
        kind = type(error).__name__ if isinstance(error, Exception) else "Stopped"
        details = {"type": kind, "message": str(error), "exit_code": exit_code, "fields": fields}
        print(json.dumps({"error": details}, indent=1, ensure_ascii=False, default=str))
    return exit_code
