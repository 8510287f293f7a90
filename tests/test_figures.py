"""Figures for a paper: as large as was asked for, with text that stays text, the same bytes every time."""

import json

import pytest
from matplotlib.figure import Figure
from PIL import Image

import actatlas
from actatlas import atlas as reader
from actatlas.cli import main
from actatlas.errors import MissingExtra, UsageError
from actatlas.picture import caption, wanted_labels


@pytest.fixture(scope="module")
def grid(small_atlas):
    return actatlas.open(small_atlas).layer("blocks.9.expanded").grid(4)


def test_a_png_says_its_dots_an_inch_and_is_as_wide_as_was_asked(small_atlas, tmp_path, capsys):
    out = tmp_path / "a.png"
    assert main(["picture", str(small_atlas), "--dpi", "200", "--width-in", "2", "-o", str(out), "--json"]) == 0
    json.loads(capsys.readouterr().out)
    with Image.open(out) as picture:
        assert picture.size == (400, 400) and round(picture.info["dpi"][0]) == 200
        assert "activations" in picture.info["Description"] and "/" not in picture.info["Description"]


@pytest.mark.parametrize("kind", ["pdf", "svg"])
def test_a_paper_s_figure_is_the_same_twice_and_carries_its_title(small_atlas, tmp_path, kind):
    files = [tmp_path / f"{i}.{kind}" for i in range(2)]
    for out in files:
        assert main(["picture", str(small_atlas), "--width-in", "3", "--labels", "-o", str(out)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes().startswith(b"%PDF" if kind == "pdf" else b"<?xml")
    if kind == "svg":
        assert "blocks.9.expanded, 4 × 4</text>" in files[0].read_text(encoding="utf-8")


def test_a_figure_has_names_that_do_not_cover_one_another(grid):
    made = grid.figure(width_in=6)
    assert isinstance(made, Figure) and made.get_size_inches()[0] == 6
    axes = made.axes[0]
    names = [text for text in axes.texts if text.get_text() != caption(grid)]
    assert names and {text.get_text() for text in names} <= {name for name, _, _ in wanted_labels(grid)}
    made.canvas.draw()
    boxes = [text.get_window_extent() for text in names]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert axes.get_title(loc="left") == "blocks.9.expanded, 4 × 4"


def test_it_goes_into_axes_of_ones_own(grid):
    whole = Figure(figsize=(6, 3))
    left, right = whole.subplots(1, 2)
    assert grid.figure(ax=left, title="a", with_caption=False) is whole
    assert len(left.images) == 1 and len(right.images) == 0
    assert grid.layer.figure(4, ax=right) is whole and len(right.images) == 1


def test_what_cannot_be_drawn_is_said(small_atlas, grid, tmp_path, monkeypatch, capsys):
    with pytest.raises(UsageError, match=r"open it by actatlas.open"):
        reader.open(small_atlas).layer("blocks.9.expanded").figure()
    for arguments, told in (
        (["-o", str(tmp_path / "a.bmp")], ".png, .pdf or .svg"),
        (["-o", str(tmp_path / "a.png"), "--dpi", "0"], "at least 1"),
        (["-o", str(tmp_path / "a.png"), "--width-in", "wide"], "a width in inches"),
    ):
        assert main(["picture", str(small_atlas), *arguments]) == 2
        assert told in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"actatlas\[figures\]"):
        grid.figure()
    assert main(["picture", str(small_atlas), "-o", str(tmp_path / "a.pdf")]) == 5
    assert not list(tmp_path.iterdir())
