"""What can drift from the code, and must not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def writer(load_script):
    return load_script("tools/write_cli_docs.py")


def test_the_commands_page_is_what_the_commands_say(writer):
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == writer.page(), "docs/cli.md has drifted: make docs"


def test_the_commands_page_has_every_command_and_option(writer):
    from actatlas.cli import parser

    page = writer.page()
    commands = list(writer.subcommands(parser()))
    assert {"demo", "layers", "build", "picture", "view", "site", "verify"} <= {name for name, _, _ in commands}
    for name, summary, command in commands:
        assert f"## actatlas {name}\n" in page
        assert summary, f"{name} has no line in --help"
        for option in command._option_string_actions:
            assert option in page or option in ("-h", "--help"), f"{name} {option}"


def test_every_option_is_explained(writer):
    from actatlas.cli import parser

    for name, _, command in writer.subcommands(parser()):
        for action in writer._shown(command):
            assert action.help, f"{name}: {action.dest}"


def test_links_between_the_documents_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    assert pages
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} → {target}"
