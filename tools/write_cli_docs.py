"""Writes docs/cli.md from the commands' own parsers: `make docs`. tests/test_docs.py fails where the page has drifted.

The page comes from the parsers' actions, not from argparse's rendered help, whose form changes with Python's version.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from actatlas.cli import parser

EXIT_CODES = {
    0: "done",
    1: "a fault of ours",
    2: "usage: an option or argument that cannot be",
    3: "images: none, too few, or unreadable",
    4: "model or layer",
    5: "an extra is missing",
    6: "verification failed",
    7: "storage: the folder, or the disk",
    8: "locked: another process writes there",
    130: "interrupted (Ctrl-C); the same command continues",
}
HEAD = """<!-- Written by `make docs` from the commands themselves; do not edit. -->

# The commands

"""


def page() -> str:
    """The whole of docs/cli.md."""
    top = parser()
    parts = [HEAD + (top.description or "").strip(), _options_table(top)]
    for name, summary, command in subcommands(top):
        parts += [f"## actatlas {name}", (command.description or summary).strip(), f"    {usage(name, command)}"]
        parts.append(_options_table(command))
    rows = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    parts.append(f"## Exit codes\n\n| code | meaning |\n|---|---|\n{rows}")
    return "\n\n".join(part for part in parts if part) + "\n"


def subcommands(top: argparse.ArgumentParser) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Name, one-line help and parser of each command, in the order of `--help`."""
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                if name in summaries:
                    yield name, summaries[name], command


def usage(name: str, command: argparse.ArgumentParser) -> str:
    words = ["actatlas", name]
    for action in _shown(command):
        required = action.required if action.option_strings else action.nargs not in ("?", "*")
        word = " ".join(filter(None, [action.option_strings[-1] if action.option_strings else "", _value(action)]))
        repeated = "…" if isinstance(action, argparse._AppendAction) or action.nargs in ("*", "+") else ""
        words.append((word if required else f"[{word}]") + repeated)
    return " ".join(words)


def _options_table(command: argparse.ArgumentParser) -> str:
    rows = []
    for action in _shown(command):
        name = " ".join(filter(None, [", ".join(action.option_strings), _value(action)]))
        rows.append(f"| `{_cell(name)}` | {_cell(_help(action))} |")
    return "\n".join(["| argument | meaning |", "|---|---|", *rows]) if rows else ""


def _shown(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """Positional arguments first, then options; without --help, sub-commands, and what is hidden."""
    hidden = (argparse._HelpAction, argparse._SubParsersAction)
    shown = [a for a in command._actions if not isinstance(a, hidden) and a.help != argparse.SUPPRESS]
    return sorted(shown, key=lambda action: bool(action.option_strings))


def _value(action: argparse.Action) -> str:
    """What follows the option's name; nothing for a switch."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.metavar:
        return action.metavar
    if action.choices is not None:
        return "|".join(str(choice) for choice in action.choices)
    return action.dest.upper()


def _help(action: argparse.Action) -> str:
    values = {**vars(action), "prog": "actatlas"}
    return (action.help or "") % values


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
