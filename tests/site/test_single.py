"""The page as one file: everything is in it, its policy allows nothing else, and what is too large is refused."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re

import pytest
from PIL import Image

from actatlas import cli
from actatlas.progress import Silent
from actatlas.site import SiteSettings, single, single_file
from actatlas.store import AtlasFolder
from actatlas.testing import FAKE_LABELS, fake_atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return fake_atlas(tmp_path_factory.mktemp("single") / "atlas", layers=2, sides=(20, 5), icon_px=24, photos=12)


@pytest.fixture(scope="module")
def page(atlas) -> str:
    return single_file(atlas, SiteSettings(), Silent()).decode()


def held(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="actatlas-files">(.*?)</script>', page, re.S)[1])


def test_the_policy_allows_the_apps_own_script_and_style_and_pictures_in_the_page(page):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    script = re.search(r"<script>(.*?)</script>", page, re.S)[1]
    style = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    assert rules["script-src"] == sha256(script) and rules["style-src"] == sha256(style)
    assert rules == {
        "default-src": "'none'", "script-src": sha256(script), "style-src": sha256(style), "img-src": "data:",
        "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert page.index('charset="utf-8"') < 1024, "browsers look for it in the first kilobyte"
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert "<link" in markup and not re.search(r'(?:src|href)="(?!data:)', markup), "it names a file beside it"


def test_it_holds_every_value_and_picture_of_the_folder(page, atlas):
    files = held(page)
    assert files["atlas.js"]["title"] == atlas.title and files["atlas.js"]["labels"] == list(FAKE_LABELS)
    for name in atlas.layer_names:
        for side in (5, 20):
            folder = f"layers/{name}/{side}"
            assert files[f"{folder}/cells.js"]["counts"] == atlas.layer(name).grid(side).counts.tolist()
            for view in ("tiles", "patches", "average"):
                kind, picture = opened(files[f"{folder}/{view}_files/0/0_0.webp"])
                assert (kind, picture.format, picture.size) == ("image/webp", "WEBP", (1, 1))
        kind, picture = opened(files[f"layers/{name}/patches/0.jpg"])
        assert (kind, picture.format) == ("image/jpeg", "JPEG")
    assert all(name.endswith((".js", ".webp", ".jpg")) and not name.startswith("app.") for name in files)


def test_layers_and_grids_can_be_left_out(atlas):
    settings = SiteSettings("none", ("layer.1",), (5,))
    files = held(single_file(atlas, settings, Silent()).decode())
    (layer,) = files["atlas.js"]["layers"]
    assert layer["name"] == "layer.1" and [grid["side"] for grid in layer["grids"]] == [5]
    assert layer["patches"] is None and layer["grids"][0]["view_px"] is None
    assert {name.split("/")[1:3] == ["layer.1", "5"] for name in files if name.startswith("layers/")} == {True}


def test_above_its_limit_it_is_refused_and_says_what_to_show_less_of(atlas, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(single, "MOST_BYTES", 100_000)
    out = tmp_path / "page.html"
    assert cli.main(["export", str(atlas.folder), str(out)]) == 2
    error = capsys.readouterr().err
    assert all(way in error for way in ("--grid 5", "--layer layer.1", "--examples none", "actatlas site"))
    assert not out.exists()
    options = ["--grid", "5", "--layer", "layer.1", "--examples", "none"]
    assert cli.main(["export", str(atlas.folder), str(out), *options]) == 0 and out.stat().st_size < 2_000_000
    monkeypatch.setattr(single, "MOST_BYTES", 10_000)
    assert cli.main(["export", str(atlas.folder), str(out), *options]) == 2
    assert "show" not in capsys.readouterr().err


def test_the_command_tells_what_it_wrote(atlas, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert cli.main(["export", str(atlas.folder), str(out), "--grid", "5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "file": str(out), "bytes": out.stat().st_size, "examples": "patches",
        "layers": {"layer.0": [5], "layer.1": [5]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "code", "told"),
    [
        ("page.txt", [], 2, ".html"),
        ("page.html", ["--layer", "layer.7"], 4, "layer.7"),
        ("page.html", ["--grid", "7"], 2, "it has: 5, 20"),
        ("folder.html", [], 2, "is a folder"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_a_sentence(atlas, tmp_path, capsys, name, options, code, told):
    (tmp_path / "folder.html").mkdir()
    assert cli.main(["export", str(atlas.folder), str(tmp_path / name), *options]) == code
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]


def test_a_file_of_the_atlas_itself_is_not_overwritten(tmp_path, capsys):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(5,), icon_px=24, photos=12)
    files, page = AtlasFolder.existing(atlas.folder), atlas.folder / "site" / "index.html"
    with files.reopened():
        files.write("site/index.html", b"the page")
    assert cli.main(["export", str(atlas.folder), str(page)]) == 2
    assert "is a file of the atlas itself" in capsys.readouterr().err and page.read_bytes() == b"the page"


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def opened(url: str) -> tuple[str, Image.Image]:
    kind, content = re.fullmatch(r"data:([^;]+);base64,(.+)", url).groups()
    return kind, Image.open(io.BytesIO(base64.b64decode(content)))
