"""The tutorial and the how-tos are run as a reader would: `sh` blocks line by line, `python` blocks as code.

Blocks marked `text` or with another language are not for running. A block with a title is written to that file.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import sys
import tomllib
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

import actatlas
from actatlas.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["tutorial.md", *sorted(f"howto/{path.name}" for path in (ROOT / "docs" / "howto").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    language: str
    title: str
    text: str


def blocks_of(page: str) -> list[Block]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    return [Block(*parts) for parts in found]


@pytest.fixture
def folder(tmp_path, drawn_photos, monkeypatch):
    """What the pages say that a reader has: photos, an atlas, a fine-tuned network's weights."""
    shutil.copytree(drawn_photos, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")  # no page is opened
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "zoo", raising=False)  # of another test's folder
    yield tmp_path
    sys.modules.pop("zoo", None)


def prepare(page: str, folder: Path) -> None:
    if page == "howto/publish.md":
        # Its tour stops at the packaged network's latest layer.
        actatlas.build(
            folder / "photos", out=folder / "atlas", layers=["blocks.15.expanded"], grids=[4], crops=3, positions=4,
            draft=True, icon_px=40, precision="float32", progress=False,
        )  # fmt: skip
    if page == "howto/fine-tuned.md":
        import timm
        import torch

        torch.manual_seed(0)
        (folder / "labels.txt").write_text("daisy\nrose\ntulip\n", encoding="utf-8")
        torch.save(timm.create_model("resnet18", num_classes=3).state_dict(), folder / "flowers.pth")


def run_line(line: str) -> None:
    words = shlex.split(line, comments=True)
    if words[:2] == ["pip", "install"]:
        check_install(words[2:])
        return
    assert words[0] == "actatlas", f"nobody knows how to run: {line}"
    with redirect_stdout(io.StringIO()):
        code = main(words[1:])
    assert code == 0, f"{line}: exit code {code}"


def check_install(packages: list[str]) -> None:
    """The extras that a page names are there."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for package in packages:
        match = re.fullmatch(r"(?:actatlas|\.)(?:\[([\w,]+)\])?", package)
        assert match, f"pip install {package}"
        assert set((match[1] or "build").split(",")) <= set(known), package


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_works(page, folder):
    prepare(page, folder)
    blocks = blocks_of(page)
    assert any(block.language in ("sh", "python") for block in blocks)
    # Files first: a page may show one after the command that takes it.
    for block in blocks:
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
    names: dict[str, object] = {"__name__": "page"}
    for number, block in enumerate(blocks):
        if block.title:
            continue
        if block.language == "sh":
            for line in block.text.strip().splitlines():
                run_line(line)
        elif block.language == "python":
            with redirect_stdout(io.StringIO()):
                exec(compile(block.text, f"{page}, block {number}", "exec"), names)
        else:
            assert block.language in ("text", "markdown"), f"{page}: a block of {block.language}"


@pytest.mark.parametrize("page", PAGES)
def test_a_command_that_is_only_shown_is_one_too(page):
    from actatlas.cli import parser

    for block in blocks_of(page):
        for line in block.text.splitlines() if block.language == "text" else ():
            words = shlex.split(line, comments=True)
            if words[:1] == ["actatlas"]:
                parser().parse_args(words[1:])


def test_every_page_has_a_picture_of_this_project():
    for page in PAGES + ["honesty.md"]:
        pictures = re.findall(r"!\[[^\]]+\]\(([^)]+\.webp)\)", (ROOT / "docs" / page).read_text(encoding="utf-8"))
        assert pictures, page
        assert all(os.path.isfile(ROOT / "docs" / os.path.dirname(page) / picture) for picture in pictures)
