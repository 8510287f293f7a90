"""doctor: what is there, what is not, and the line that gets it. And: nothing that we print is coloured."""

from __future__ import annotations

import importlib.metadata
import io
import json
import re
import sys
from pathlib import Path

import pytest

from actatlas import __version__
from actatlas.cli import main
from actatlas.doctor import examine_extras
from actatlas.progress import StderrProgress

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = [
    'torch>=2; extra == "build"',
    'nowhere-to-be-found>=1; extra == "build"',
    'pytest>=9; extra == "dev"',
    "numpy>=2",
]
REQUIREMENTS += ['numpy>=2; extra == "tsne"']


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIREMENTS)


def test_an_extra_that_lacks_something_comes_with_the_line_that_gets_it(installed):
    found = examine_extras()
    assert set(found) == {"build", "tsne"}
    assert found["build"]["missing"] == ["nowhere-to-be-found"]
    assert found["build"]["get"] == 'pip install "actatlas[build]"'
    assert found["tsne"]["missing"] == [] and found["tsne"]["get"] is None


def test_doctor_never_fails_for_what_is_missing(installed, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "torch", None)  # there, and importing it fails
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert 'lacks nowhere-to-be-found; get it: pip install "actatlas[build]"' in told
    assert "torch cannot be imported" in told
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["actatlas"] == __version__ and found["extras"]["build"]["get"]


def test_it_runs_where_nobody_installed_the_package(monkeypatch):
    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", unknown)
    assert examine_extras() == {}


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_has_no_colour_and_on_a_dumb_one_no_codes(monkeypatch):
    """NO_COLOR asks for no colour; there is none to begin with."""
    written = {}
    for kind in ("xterm-256color", "dumb"):
        monkeypatch.setenv("TERM", kind)
        stream = _Terminal()
        with StderrProgress(stream).stage("Painting", 3, "icons") as tick:
            tick(3)
        written[kind] = stream.getvalue()
        assert "Painting: 3/3 icons" in written[kind]
        assert not re.search(r"\x1b\[[\d;]*m", written[kind])
    assert "\x1b" in written["xterm-256color"] and "\x1b" not in written["dumb"]


def test_units_that_are_gone_over_again_are_not_all_done_before_the_last_round():
    stream = io.StringIO()
    with StderrProgress(stream, seconds_between_lines=0).stage("Painting", 10, "icons", work=100) as tick:
        tick(10, 40)
        tick(0, 60)
    assert [line.split(",")[0] for line in stream.getvalue().splitlines()] == [
        "Painting: 4/10 icons", "Painting: 10/10 icons", "Painting: 10/10 icons",
    ]  # fmt: skip


def test_no_color_reaches_argparse_too(monkeypatch, capsys):
    # From Python 3.14 on its help is coloured where there is a terminal and NO_COLOR is not set.
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "\x1b" not in capsys.readouterr().out


def test_the_citation_and_the_package_say_the_same():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert project["authors"] == [{"name": "the actatlas contributors"}]
    assert f"version: {__version__}\n" in citation and f"license: {project['license']}\n" in citation
    assert project["authors"][0]["name"] in citation


def test_the_guide_for_contributors_fits_one_screen():
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 50 and max(map(len, lines)) <= 160
