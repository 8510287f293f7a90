"""A tour is written in Markdown."""

from __future__ import annotations

import json

import pytest

from actatlas.cli import main
from actatlas.errors import UsageError
from actatlas.site import write_site
from actatlas.site.tour import parse_tour
from actatlas.testing import fake_atlas

TOUR = """# For those who write it

## Leaves
[Green](#layer=layer.0&at=0.2,0.8,3) things,
in the lower left.

A second <b>paragraph</b>.

## A class
See [kites](#layer=layer.1&class=kite).
"""


def test_stops_have_a_title_a_link_and_paragraphs():
    assert parse_tour(TOUR, "tour.md") == [
        {
            "title": "Leaves", "link": "#layer=layer.0&at=0.2,0.8,3",
            "text": ["Green things, in the lower left.", "A second <b>paragraph</b>."],
        },
        {"title": "A class", "link": "#layer=layer.1&class=kite", "text": ["See kites."]},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no stop"),
        ("# Only a title\n", "no stop"),
        ("\n## Leaves\nGreen.\n", "line 2"),
        ("## \n[x](#a=b)\n", "line 1"),
    ],
)
def test_a_tour_that_leads_nowhere_is_refused(text, told):
    with pytest.raises(UsageError, match=told):
        parse_tour(text, "tour.md")


def test_a_tour_is_kept_in_the_atlas_and_written_with_every_site(tmp_path, capsys):
    atlas = fake_atlas(tmp_path / "atlas", layers=2, sides=(5,), icon_px=16)
    path = tmp_path / "tour.md"
    path.write_text(TOUR)
    assert main(["site", str(atlas.folder), "--tour", str(path), "-o", str(tmp_path / "one")]) == 0
    assert main(["site", str(atlas.folder), "-o", str(tmp_path / "two")]) == 0
    for site in ("one", "two"):
        text = (tmp_path / site / "tour.js").read_text()
        assert json.loads(text[len('actatlas("tour",') : -3])[1]["title"] == "A class"
    assert main(["verify", str(atlas.folder)]) == 0
    assert main(["site", str(atlas.folder), "--tour", str(tmp_path / "none.md")]) == 2
    assert "none.md" in capsys.readouterr().err


def test_a_stop_at_a_layer_that_is_not_there_is_refused(tmp_path, capsys):
    atlas = fake_atlas(tmp_path / "atlas", layers=2, sides=(5,), icon_px=16)
    (tmp_path / "tour.md").write_text(TOUR.replace("layer=layer.1", "layer=layer.7"))
    assert main(["site", str(atlas.folder), "--tour", str(tmp_path / "tour.md")]) == 2
    told = capsys.readouterr().err
    assert "A class" in told and "layer.7" in told and "layer.0, layer.1" in told
    assert not (atlas.folder / "site" / "tour.js").exists()


def test_a_site_without_a_tour_says_so(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(5,), icon_px=16)
    written = {}
    write_site(atlas, tmp_path, lambda path, data: written.update({path.name: data}))
    assert b'"tour":false' in written["atlas.js"] and "tour.js" not in written
