"""A folder for a public host: whole, with its card and licence, weighed against what hosts take."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

from actatlas import cli
from actatlas.lettering import without_folders
from actatlas.publishing.hosts import HOSTS, Totals
from actatlas.store import AtlasFolder, writing
from actatlas.testing import fake_atlas

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return fake_atlas(tmp_path_factory.mktemp("published") / "atlas", layers=2, sides=(20, 5), icon_px=24, photos=12)


def publish(atlas, out, capsys, *options: str) -> dict:
    assert cli.main(["publish", str(atlas.folder), str(out), "--json", *options]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def files_of(folder) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_publication_says_what_it_weighs_and_which_hosts_take_it(atlas, tmp_path, capsys):
    told = publish(atlas, tmp_path / "out", capsys)
    files = files_of(tmp_path / "out")
    assert told["publication"] == str(tmp_path / "out") and told["page"] == str(tmp_path / "out" / "index.html")
    assert told["files"] == len(files) and told["bytes"] == sum(map(len, files.values()))
    largest = max(files, key=lambda name: len(files[name]))
    assert told["largest"]["bytes"] == len(files[largest])
    assert {host["host"] for host in told["hosts"]} == {host.name for host in HOSTS}
    assert all(host["fits"] and host["problems"] == [] for host in told["hosts"])
    assert (told["licence"], told["examples"]) == (None, "patches")


def test_hosts_refuse_what_is_beyond_their_limits_and_say_why():
    fits = Totals(files=20_000, bytes=10**9, largest=("a", 25 * 2**20), fullest=("b", 10_000))
    assert not any(host.problems(fits) for host in HOSTS)
    beyond = {
        "GitHub Pages": [Totals(9, 10**9 + 1, ("a", 1), ("b", 1)), Totals(9, 9, ("big", 101 * 2**20), ("b", 1))],
        "Hugging Face static Space": [Totals(100_001, 9, ("a", 1), ("b", 1)), Totals(9, 9, ("a", 1), ("b", 10_001))],
        "Cloudflare Pages": [Totals(20_001, 9, ("a", 1), ("b", 1)), Totals(9, 9, ("big", 26 * 2**20), ("b", 1))],
    }
    for host in HOSTS:
        for totals in beyond[host.name]:
            (problem,) = host.problems(totals)
            assert "more than" in problem


def test_the_readme_makes_the_folder_a_static_space_and_holds_the_card(atlas, tmp_path, capsys):
    publish(atlas, tmp_path / "out", capsys, "--licence", "CC-BY-4.0", "--url", "https://me.example/atlas/index.html")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    front = dict(line.split(": ", 1) for line in text.split("---\n")[1].splitlines())
    assert (front["sdk"], front["app_file"], front["license"]) == ("static", "index.html", "cc-by-4.0")
    assert json.loads(front["title"]) == atlas.title
    assert json.loads(front["thumbnail"]) == "https://me.example/atlas/thumbnail.png"
    card = json.loads((tmp_path / "out" / "card.json").read_text(encoding="utf-8"))
    jsonschema.validate(card, json.loads((SCHEMAS / "card.json").read_text()))
    assert card["network"]["weights_sha256"] == "0" * 64 and "0" * 64 in text
    assert card["photos"]["used"] == 12 and card["licence"] == "CC-BY-4.0"
    for name in atlas.layer_names:
        for side in (5, 20):
            grid = atlas.layer(name).grid(side)
            assert f"| {name} | 8 × 6 × 6 | 48 | {side} × {side} | {len(grid)} |" in text
    for part in ("How to read it", "not a photo", "collect.attribution", "no whole photo is"):
        assert part in text
    assert "CC-BY-4.0" in (tmp_path / "out" / "LICENCE.txt").read_text()
    assert str(atlas.folder.parent) not in text


def test_a_folder_without_a_licence_says_so(atlas, tmp_path, capsys):
    publish(atlas, tmp_path / "out", capsys)
    assert "No licence was given" in (tmp_path / "out" / "LICENCE.txt").read_text()
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "No licence was given" in text and "license:" not in text and "thumbnail:" not in text


def test_no_folder_of_the_network_or_the_photos_is_published(tmp_path, capsys):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(5,), icon_px=24, photos=12)
    plan = json.loads((atlas.folder / "plan.json").read_text())
    spec = "timm:resnet18?checkpoint=/home/me/secret/w.safetensors&num_classes=5&labels=/home/me/secret/names.txt"
    plan["network"]["spec"], plan["images"]["spec"] = spec, "wds:/home/me/secret/a.tar + wds:/home/me/secret/b.tar"
    plan["title"] = f"{spec.split(':')[-1]}: b.tar"
    plan["origin"] = f"Network {spec}. Photos: {plan['images']['spec']}."
    with writing(atlas.folder), (files := AtlasFolder.existing(atlas.folder)).reopened():
        files.write_json("plan.json", plan)
    publish(atlas, tmp_path / "out", capsys)
    assert cli.main(["export", str(atlas.folder), str(tmp_path / "page.html")]) == 0
    found = files_of(tmp_path / "out") | {"page.html": (tmp_path / "page.html").read_bytes()}
    assert [name for name, content in found.items() if b"secret" in content] == []
    card = json.loads(found["card.json"])
    assert card["title"] == "resnet18?checkpoint=w.safetensors&num_classes=5&labels=names.txt: b.tar"
    assert card["photos"]["source"] == "a.tar + b.tar"


@pytest.mark.parametrize(
    ("spec", "shown"),
    [("timm:hf-hub:timm/resnet50", "timm:hf-hub:timm/resnet50"), ("hf:microsoft/resnet-50", "hf:microsoft/resnet-50"),
     ("hf:/home/me/mine", "hf:mine"), ("/home/me/zoo.py:flowers", "zoo.py:flowers"), ("hf:C:\\nets\\mine", "hf:mine"),
     ("timm:vit?checkpoint=~/w.pth&in_chans=1", "timm:vit?checkpoint=w.pth&in_chans=1"), ("a ResNet", "a ResNet")],
)  # fmt: skip
def test_a_spec_without_folders(spec, shown):
    assert without_folders(spec) == shown


def test_links_to_it_show_a_picture_of_the_latest_layer(atlas, tmp_path, capsys):
    publish(atlas, tmp_path / "out", capsys, "--url", 'https://me.example/"><script>/')
    page = (tmp_path / "out" / "index.html").read_text()
    metas = dict(re.findall(r'<meta property="([^"]+)" content="([^"]*)">', page))
    assert metas["og:title"] == "A &lt;b&gt;fake&lt;/b&gt; atlas"
    assert metas["og:image"] == "https://me.example/&quot;&gt;&lt;script&gt;/thumbnail.png"
    picture = Image.open(io.BytesIO((tmp_path / "out" / "thumbnail.png").read_bytes()))
    assert picture.size == (int(metas["og:image:width"]), int(metas["og:image:height"]))
    assert len(picture.getcolors(10**6)) > 8, "nothing is drawn on it"


def test_an_earlier_publication_is_replaced_and_anything_else_is_left_alone(atlas, tmp_path, capsys):
    out = tmp_path / "out"
    publish(atlas, out, capsys, "--examples", "thumbs")
    (out / ".git").mkdir()
    assert list((out / "thumbs").iterdir())
    publish(atlas, out, capsys, "--examples", "none")
    assert (out / ".git").is_dir() and not (out / "thumbs").exists() and not list(out.rglob("*.jpg"))
    (out / "notes.txt").write_text("mine")
    before = files_of(out)
    assert cli.main(["publish", str(atlas.folder), str(out)]) == 7
    assert "notes.txt" in capsys.readouterr().err and files_of(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"], "something half-written is left"


def test_a_site_takes_the_place_of_an_earlier_one_and_of_nothing_else(atlas, tmp_path, capsys):
    out = tmp_path / "out"
    assert cli.main(["site", str(atlas.folder), "-o", str(out)]) == 0
    (out / "layers" / "old.js").write_text("of an earlier one")
    assert cli.main(["site", str(atlas.folder), "-o", str(out), "--examples", "none"]) == 0
    assert not (out / "layers" / "old.js").exists() and not list(out.rglob("*.jpg"))
    capsys.readouterr()
    publish(atlas, out, capsys)
    before = files_of(out)
    assert cli.main(["site", str(atlas.folder), "-o", str(out)]) == 7
    assert "LICENCE.txt" in capsys.readouterr().err and files_of(out) == before
    assert cli.main(["site", str(atlas.folder), "-o", str(atlas.folder / "site")]) == 2


@pytest.mark.parametrize("command", ["verify", "view", "report"])
def test_a_page_is_not_taken_for_its_atlas(command: str, atlas, tmp_path, capsys):
    publish(atlas, tmp_path / "out", capsys)
    assert cli.main([command, str(tmp_path / "out")]) == 7
    told = capsys.readouterr().err
    assert "page and not the atlas" in told and str(tmp_path / "out" / "index.html") in told


def test_what_cannot_be_published_is_refused_in_a_sentence(atlas, tmp_path, capsys):
    growing = fake_atlas(tmp_path / "half" / "atlas", layers=1, sides=(5,), photos=0, painted=0.5, icon_px=24)
    for folder, out, options, code, told in (
        (growing.folder, tmp_path / "a", [], 7, "not finished"),
        (atlas.folder, atlas.folder / "site" / "deep", [], 2, "in the atlas's own folder"),
        (atlas.folder, tmp_path / "b", ["--url", "example.org"], 2, "https://"),
        (tmp_path, tmp_path / "c", [], 7, "not an atlas"),
    ):
        assert cli.main(["publish", str(folder), str(out), *options]) == code
        error = capsys.readouterr().err
        assert told in error and "Traceback" not in error
        assert not out.exists()
