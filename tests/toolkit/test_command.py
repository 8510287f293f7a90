"""`actatlas visualize` from the shell: one object on stdout, files where it says, one sentence where it cannot be."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from actatlas import cli

LAYER = "blocks.9.expanded"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments: object) -> tuple[int, dict]:
    code = cli.main(["visualize", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_channel_of_an_atlas_becomes_a_picture_and_a_page(small_atlas, here, capsys):
    code, told = run(
        capsys, "channel", small_atlas, "--layer", LAYER, "--channel", 9, "--count", 2, "-o", "c.png", "-o", "c.html"
    )
    assert code == 0 and told["what"] == "channel" and told["files"] == [str(here / "c.png"), str(here / "c.html")]
    assert len(told["pictures"]) == 2 and len(told["patches"]) == 12 and told["layer"] == LAYER
    with Image.open(here / "c.png") as picture:
        assert picture.size[0] == 1080
    assert "channel 9 of blocks.9.expanded" in (here / "c.html").read_text(encoding="utf-8")


def test_a_direction_may_be_a_file(small_atlas, here, capsys):
    np.save(here / "probe.npy", np.eye(672)[3])
    code, told = run(capsys, "direction", small_atlas, "--layer", LAYER, "--vector", "probe.npy", "--count", 1)
    assert code == 0 and told["title"].startswith("probe.npy") and Path(told["files"][0]).is_file()


def test_a_photo_is_shown_as_a_grid_and_attributed_by_place_and_by_channel(small_atlas, drawn_photos, here, capsys):
    photo = sorted(drawn_photos.iterdir())[0]
    code, told = run(capsys, "grid", small_atlas, "--photo", photo, "--layer", LAYER, "--groups", 3, "-o", "g.png")
    assert code == 0 and [layer["layer"] for layer in told["layers"]] == [LAYER] and (here / "g.png").is_file()
    asked = (small_atlas, "--photo", photo, "--layer", LAYER, "--class", "jeep")
    code, told = run(capsys, "attribution", *asked, "--versus", "tench", "-o", "a.html")
    assert code == 0 and told["target"] == "jeep" and told["versus"] == "tench" and len(told["values"]) == 14
    code, told = run(capsys, "attribution", *asked, "--by", "channel", "--count", 1, "-o", "a.png")
    assert code == 0 and len(told["channels"]) == 2 and len(told["removal"]) == 4


def test_a_class_of_a_network_alone_is_painted_from_photos(drawn_photos, here, capsys):
    model = "packaged:efficientnet-lite0"
    code, told = run(
        capsys, "class", "--model", model, "--photos", drawn_photos, "--class", "goldfish", "--count", 1, "--px", 64
    )
    assert code == 0 and told["title"] == "goldfish" and told["layer"] == "logits"
    assert told["pictures"][0]["top"][0]["probability"] > 0 and "24 photos" in told["photos"]


def test_what_cannot_be_is_said_in_a_sentence_with_its_code(small_atlas, here, capsys):
    on = (small_atlas, "--layer", LAYER)
    for arguments, code, said in (
        (("channel", "--layer", LAYER, "--channel", 1), 2, "give an atlas folder, or --model SPEC"),
        (("channel", *on), 2, "visualize channel needs --channel"),
        (("class", small_atlas), 2, "visualize class needs --class NAME"),
        (("channel", *on, "--channel", 672), 2, "has channels 0 to 671, not 672"),
        (("channel", *on, "--channel", 1, "--versus", "tench"), 2, "does not know --versus"),
        (("channel", *on, "--channel", 1, "-o", "c.gif"), 2, "let it end in .png or .html"),
        (("channel", *on, "--layer", "other", "--channel", 1), 2, "give --layer once"),
        (("channel", small_atlas, "--layer", "nowhere", "--channel", 1), 4, "nowhere"),
        (("direction", *on), 2, "--vector FILE, or as --cell"),
        (("direction", *on, "--cell", "99,99"), 2, "no cell"),
        (("grid", small_atlas, "--photo", "none.jpg"), 3, "none.jpg cannot be used"),
        (("attribution", *on, "--photo", "none.jpg", "--class", "no such"), 2, "no class is called"),
        (("neuron", *on, "--channel", 1, "--at", "x"), 2, "ROW,COLUMN"),
        (("everything", small_atlas), 2, "invalid choice"),
    ):
        found, told = run(capsys, *arguments)
        assert found == code == told["error"]["exit_code"], told
        assert said in told["error"]["message"] and "\n" not in told["error"]["message"]
    assert list(here.iterdir()) == [], "nothing half-written"
