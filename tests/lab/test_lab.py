"""What the lab says is what the network says; and what it cannot do is a sentence."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image

import actatlas
from actatlas.atlas import open as open_atlas
from actatlas.confusions.keeping import Confusion, write_list
from actatlas.confusions.pasting import CORNERS, Spot
from actatlas.confusions.proposing import Proposal, SearchSettings
from actatlas.demo import shipped_atlas
from actatlas.errors import ActatlasError, UnfinishedAtlas, UnreadableImage, UsageError
from actatlas.lab import Lab
from actatlas.lab.lighting import nearest_cells
from actatlas.store import writing

WHITE = Image.new("RGB", (20, 20), "white")
LAYER = "blocks.9.expanded"
CENTRE = {"x": 0.5, "y": 0.5, "side": 0.4}
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "lab.json").read_text())


def answered(lab, question, **asked):
    """Through JSON and back, as a page has it, and of the form that is promised."""
    value = json.loads(json.dumps(lab.answer(question, json.loads(json.dumps(asked))), allow_nan=False))
    jsonschema.validate({question: value}, SCHEMA | {"required": [question]})
    return value


def received(lab, content):
    value = lab.receive(content)
    jsonschema.validate({"picture": value}, SCHEMA | {"required": ["picture"]})
    return value


def picture_of(text) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def as_file(picture, kind="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def chances(network, picture) -> np.ndarray:
    """(classes,) of a picture that is as large as the network's input."""
    pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), np.float32) / 255).permute(2, 0, 1)
    with torch.no_grad():
        return network.module(network.normalize(pixels[None]))[0].softmax(dim=0).numpy()


def a_cell(lab_atlas, number=0):
    grid = open_atlas(lab_atlas).layer(LAYER).grid(4)
    column, row = grid.coordinates[number].tolist()
    return {"layer": LAYER, "side": 4, "column": column, "row": row}


def test_an_open_lab_says_what_there_is(lab):
    assert answered(lab, "status") == {
        "closed": None, "without": {}, "photos": 24, "input_px": [224, 224], "misunderstandings": 0
    }  # fmt: skip


def test_photos_come_in_pages_as_the_network_sees_them_and_without_their_paths(lab, lab_atlas, drawn_photos):
    first, second = answered(lab, "photos", count=10), answered(lab, "photos", **{"from": 20}, count=10)
    assert (first["total"], len(first["photos"]), [p["id"] for p in second["photos"]]) == (24, 10, [20, 21, 22, 23])
    assert str(drawn_photos) not in json.dumps(first)
    atlas = open_atlas(lab_atlas)
    seen = atlas.preprocessing.crop(atlas.source.read(3)).resize((96, 96), Image.Resampling.LANCZOS)
    shown = picture_of(first["photos"][3]["thumbnail"])
    assert np.abs(np.asarray(shown, float) - np.asarray(seen, float)).mean() < 4
    taken_for = first["photos"][3]["taken_for"]
    found = answered(lab, "photos", query=taken_for.upper(), count=48)
    assert 3 in [p["id"] for p in found["photos"]] and {p["taken_for"] for p in found["photos"]} == {taken_for}
    assert answered(lab, "photos", query="no such thing") == {"total": 0, "photos": []}


def test_a_photo_is_taken_for_what_the_network_takes_it_for(lab, lab_atlas, network):
    value = answered(lab, "predict", photo={"id": 5})
    photo = open_atlas(lab_atlas).source.read(5)
    expected = chances(network, network.preprocessing.crop(photo))
    assert np.array_equal(np.asarray(picture_of(value["picture"])), np.asarray(network.preprocessing.crop(photo)))
    assert [entry["index"] for entry in value["before"]] == np.argsort(-expected)[:5].tolist()
    for entry in value["before"]:
        assert entry["probability"] == pytest.approx(expected[entry["index"]], abs=2e-3)
        assert entry["class"] == network.labels[entry["index"]]
    assert value["after"] is value["classes"] is value["box"] is None


@pytest.mark.parametrize(
    ("x", "y", "side"), [(0.5, 0.5, 0.4), (0.0, 0.0, 0.3), (1.0, 0.2, 0.25), (0.61, 1.0, 1.0), (0.33, 0.5, 0.004)]
)
def test_the_patch_lies_where_it_is_put_and_the_picture_that_comes_back_is_what_was_judged(lab, network, x, y, side):
    patch = Image.new("RGB", (60, 30), (250, 10, 200))
    key = received(lab, as_file(patch))["key"]
    before = answered(lab, "predict", photo={"id": 7})
    value = answered(lab, "predict", photo={"id": 7}, patch={"key": key}, place={"x": x, "y": y, "side": side})
    seen, plain = (np.asarray(picture_of(each["picture"]), int) for each in (value, before))

    left, top, right, bottom = (round(v * 224) for v in value["box"])
    longer = max(int(side * 224 + 1e-9), 1)
    assert (right - left, bottom - top) == (longer, max(round(longer / 2), 1))
    middle = ((left + right) / 2, (top + bottom) / 2)
    for at, wanted, extent in ((middle[0], x * 224, right - left), (middle[1], y * 224, bottom - top)):
        assert at == pytest.approx(min(max(wanted, extent / 2), 224 - extent / 2), abs=0.51)
    inside = np.zeros((224, 224), bool)
    inside[top:bottom, left:right] = True
    assert np.array_equal(seen[~inside], plain[~inside]) and (seen[inside] == (250, 10, 200)).all()

    expected = chances(network, picture_of(value["picture"]))
    assert value["after"][0]["index"] == int(expected.argmax()) and value["before"] == before["before"]
    for entry in value["classes"]:
        assert entry["after"] == pytest.approx(expected[entry["index"]], abs=2e-3)
    listed = {entry["index"] for entry in value["before"]} | {entry["index"] for entry in value["after"]}
    assert {entry["index"] for entry in value["classes"]} == listed
    assert [e["after"] for e in value["classes"]] == sorted((e["after"] for e in value["classes"]), reverse=True)


def test_a_cells_patches_and_icon_can_be_pasted(lab, lab_atlas):
    cell = a_cell(lab_atlas, 3)
    own = open_atlas(lab_atlas).layer(LAYER).grid(4).cell_at(cell["column"], cell["row"])
    for patch, expected in (({"example": 1}, own.examples(2)[1]), ({"icon": True}, own.icon.image)):
        value = answered(lab, "predict", photo={"id": 1}, patch={"cell": cell, **patch}, place=CENTRE | {"side": 1.0})
        pasted = expected.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC, reducing_gap=3.0)
        difference = np.asarray(picture_of(value["picture"]), int) - np.asarray(pasted, int)
        assert np.abs(difference).max() <= 1, patch


def test_a_photo_that_was_given_is_turned_upright_and_comes_back_without_what_its_file_said(lab, network):
    picture = Image.new("RGB", (300, 240), (20, 20, 200))
    picture.paste((240, 240, 20), (0, 0, 150, 240))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret"  # turned by a quarter; a description
    given = received(lab, as_file(picture, "JPEG", exif=exif, quality=95))
    assert given["size"] == [240, 300]
    shown = picture_of(given["picture"])
    assert not shown.getexif() and b"secret" not in base64.b64decode(given["picture"])
    pixels = np.asarray(shown)
    assert pixels[30, 112, 0] > 200 and pixels[200, 112, 0] < 60, "yellow is on top"

    value = answered(lab, "predict", photo={"key": given["key"]})
    expected = chances(network, picture_of(value["picture"]))
    assert value["before"][0]["index"] == int(expected.argmax())
    assert received(lab, as_file(Image.new("RGB", (9, 9), (1, 2, 3)), "WEBP", lossless=True))["size"] == [9, 9]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"), (b"GIF", "not a JPEG"), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a JPEG"),
        (as_file(Image.new("RGB", (64, 64)))[:60], "broken|truncated"),
        (as_file(Image.new("1", (10_000, 9_000))), "more than the limit"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_picture_is_one_sentence(lab, content, told):
    with pytest.raises(UnreadableImage, match=f"this picture cannot be used: .*({told})"):
        lab.receive(content)


def test_suggestions_are_tried_on_the_photo_and_say_what_they_do(lab, lab_atlas):
    before = answered(lab, "predict", photo={"id": 4})["before"]
    value = answered(lab, "suggest", photo={"id": 4})
    assert value["from"] == "cells" and len(value["patches"]) >= 4
    assert before[0]["index"] not in {p["target"]["index"] for p in value["patches"]}
    gains = [p["after"] - p["before"] for p in value["patches"]]
    assert gains == sorted(gains, reverse=True) and gains[0] > 0
    assert len({json.dumps(p["patch"]) for p in value["patches"]}) == len(value["patches"])
    for patch in value["patches"][:3]:
        asked = {"patch": patch["patch"], "place": patch["place"]}
        seen = answered(lab, "predict", photo={"id": 4}, **asked)
        known = {entry["index"]: entry["after"] for entry in seen["classes"]}
        if patch["target"]["index"] in known:
            assert known[patch["target"]["index"]] == pytest.approx(patch["after"], abs=2e-3)
        others = [
            answered(lab, "predict", photo={"id": 4}, **(asked | {"place": patch["place"] | {"x": x, "y": y}}))
            for x in (0, 1) for y in (0, 1)
        ]  # fmt: skip
        best = max(
            (e["after"] for o in others for e in o["classes"] if e["index"] == patch["target"]["index"]), default=0
        )
        assert patch["after"] >= best - 2e-3, "the corner is the best of the four"


def test_for_a_class_come_the_cells_that_speak_most_for_it(lab, lab_atlas):
    value = answered(lab, "suggest", target="red fox")
    grid = open_atlas(lab_atlas).layer(LAYER).grid(4)
    over = grid.attributions[:, 277] - grid.layer.attribution_mean[277]
    strongest = grid.coordinates[np.argsort(-over, kind="stable")[:8]].tolist()
    assert [[p["patch"]["cell"]["column"], p["patch"]["cell"]["row"]] for p in value["patches"]] == strongest
    assert {p["target"]["class"] for p in value["patches"]} == {"red fox"}
    assert all(p["before"] is p["after"] is p["flip_rate"] is None for p in value["patches"])


@pytest.fixture
def own_atlas(lab_atlas, tmp_path):
    return shutil.copytree(lab_atlas, tmp_path / "own")


def confusion(rank, target, colour, corner) -> Confusion:
    proposal = Proposal(
        rank=rank, target=target, concept=f"paint {rank}", row=0, k=0, attribution=1.0, cell_attribution=1.0,
        image_id=0, px=80, patch_box=(0.1, 0.1, 0.5, 0.5), spot=Spot(0.4, corner), tried=0.3, tried_on=(),
        source="0" * 16, labels=(), predictions=(),
    )  # fmt: skip
    return Confusion(proposal, Image.new("RGB", (120, 120), colour))


def keep(folder, settings, *entries):
    layer = open_atlas(folder).layer(LAYER)
    with writing(folder):
        write_list(layer, layer.grid(4), settings, entries)


def test_known_misunderstandings_go_before_cells_and_random_ones_do_not_count(own_atlas):
    lab = Lab(own_atlas)
    assert answered(lab, "status")["misunderstandings"] == 0
    keep(own_atlas, SearchSettings(at_random=True), confusion(1, 3, "red", CORNERS[0]))
    assert answered(lab, "suggest", target=3)["from"] == "cells"
    keep(own_atlas, SearchSettings(), confusion(1, 3, "red", CORNERS[0]), confusion(2, 7, "lime", CORNERS[3]))
    assert answered(lab, "status")["misunderstandings"] == 2

    (known,) = answered(lab, "suggest", target=7)["patches"]
    assert known["patch"] == {"layer": LAYER, "rank": 2} and known["shows"] == "paint 2"
    assert known["place"] == {"x": 1.0, "y": 1.0, "side": 0.4}
    seen = answered(lab, "predict", photo={"id": 2}, patch=known["patch"], place=known["place"])
    assert picture_of(seen["picture"]).getpixel((200, 200)) == (0, 255, 0)
    tried = answered(lab, "suggest", photo={"id": 2})
    assert tried["from"] == "misunderstandings"
    assert {p["target"]["index"] for p in tried["patches"]} <= {3, 7} and tried["patches"][0]["after"] is not None


def test_a_better_icon_is_measured_as_icons_are_and_can_be_pasted(lab, lab_atlas, network):
    cell = a_cell(lab_atlas, 5)
    value = answered(lab, "icon", cell=cell, steps=24)
    grid = open_atlas(lab_atlas).layer(LAYER).grid(4)
    k = grid.cell_at(cell["column"], cell["row"]).k
    icon = picture_of(value["picture"])
    answer = actatlas.measure_icons(network, grid.layer, np.array(icon)[None])[0] - grid.layer.mean
    centred = grid.means - grid.layer.mean
    cosines = centred @ answer / np.linalg.norm(centred, axis=1) / np.linalg.norm(answer)
    assert value["cosine"] == pytest.approx(cosines[k], abs=2e-3)
    assert (value["rank"], value["cells"]) == (int((cosines > cosines[k]).sum()), len(grid))
    assert value["stored"]["cosine"] == pytest.approx(float(grid.cosine[k]), abs=1e-3)
    assert not np.array_equal(np.asarray(icon), grid.icons[k])
    assert answered(lab, "icon", cell=cell, steps=24) == value, "it is not painted again"
    pasted = answered(lab, "predict", photo={"id": 0}, patch={"key": value["key"]}, place=CENTRE)
    assert pasted["after"] is not None


def test_a_better_icon_is_nearer_to_its_cell_than_the_maps_and_than_one_from_nothing(lab_atlas, network):
    atlas = actatlas.open(lab_atlas)
    atlas.network = network
    grid = atlas.layer(LAYER).grid(4)

    def figure(icons):
        return float(np.mean([icon.cosine + icon.shifted_cosine for icon in icons]))

    cells = [grid.cell(k) for k in (1, 6, 11)]
    better = figure([cell.render(steps=40) for cell in cells])
    others = [np.delete(grid.means, cell.k, axis=0) for cell in cells]
    new = [atlas.paint(grid.layer, c.mean[None], o, steps=40) for c, o in zip(cells, others, strict=True)]
    assert better > figure([cell.icon for cell in cells]) + 0.02
    assert better > float(np.mean([icons.cosine[0] + icons.shifted_cosine[0] for icons in new])) + 0.02


def test_the_facets_of_a_cell_are_clusters_of_its_activations_with_icons_and_patches(lab, lab_atlas):
    grid = open_atlas(lab_atlas).layer(LAYER).grid(4)
    k = int(grid.counts.argmax())
    column, row = grid.coordinates[k].tolist()
    cell = {"layer": LAYER, "side": 4, "column": column, "row": row}
    value = answered(lab, "facets", cell=cell, count=2)
    facets = value["facets"]
    assert len(facets) == 2 and sum(facet["activations"] for facet in facets) == grid.counts[k]
    assert facets[0]["activations"] >= facets[1]["activations"]
    icons = [np.asarray(picture_of(facet["picture"]), int) for facet in facets]
    assert np.abs(icons[0] - icons[1]).mean() > 3, "each has a picture of its own"
    for facet in facets:
        assert facet["without_patches"] is None and 1 <= len(facet["patches"]) <= min(facet["photos"], 4)
        assert all(picture_of(patch).width <= 96 for patch in facet["patches"])
    assert answered(lab, "facets", cell=cell, count=2) == value, "they are not painted again"


def test_the_cells_that_a_photo_lights_up_are_the_nearest_ones(lab, lab_atlas, network):
    value = answered(lab, "lights", photo={"id": 9}, side=4)
    atlas = open_atlas(lab_atlas)
    assert [layer["layer"] for layer in value["layers"]] == atlas.layer_names
    with torch.no_grad():
        maps = network.activations(network.normalize(network.pixels(atlas.source.read(9))[None]), atlas.layer_names)
    for told in value["layers"]:
        layer = atlas.layer(told["layer"])
        grid = layer.grid(4)
        vectors = maps[layer.name][0].flatten(1).T.numpy()
        assert told["places"] == len(vectors) <= 32 * 32 and told["side"] == 4
        counted: dict[tuple[int, int], int] = {}
        for vector in vectors - layer.mean:
            cosines = [(m - layer.mean) @ vector / np.linalg.norm(m - layer.mean) for m in grid.means]
            place = tuple(grid.coordinates[int(np.argmax(cosines))].tolist())
            counted[place] = counted.get(place, 0) + 1
        found = {(c, r): share for c, r, share, _ in told["cells"]}
        # The lab's copy of the network differs in the last bits, so two cells as near may change places.
        differing = sum(abs(found.get(p, 0) * len(vectors) - n) for p, n in counted.items())
        assert differing <= 0.02 * len(vectors) and sum(found.values()) == pytest.approx(1, abs=0.01)
        shares = [cell[2] for cell in told["cells"]]
        assert shares == sorted(shares, reverse=True)


def test_an_activation_is_nearest_to_its_own_cell_more_often_than_chance_has_it(lab_atlas):
    grid = open_atlas(lab_atlas).layer(LAYER).grid(4)
    nearest, cosine = nearest_cells(grid, grid.means)
    assert nearest.tolist() == list(range(len(grid))) and np.allclose(cosine, 1, atol=1e-5)
    rows = np.concatenate([grid.members(k) for k in range(len(grid))])
    own = np.concatenate([np.full(len(grid.members(k)), k) for k in range(len(grid))])
    found, _ = nearest_cells(grid, grid.layer.activations.vectors[rows])
    assert (found == own).mean() > 3 / len(grid)


# --- what cannot be


NO_CELL = {"layer": LAYER, "side": 4, "column": 99, "row": 0}


@pytest.mark.parametrize(
    ("question", "asked", "told"),
    [
        ("predict", {}, "photo must be an object, it is missing"),
        ("predict", {"photo": {"id": -1}}, "id must be a whole number from 0"),
        ("predict", {"photo": {"id": "1"}}, "id must be a whole number"),
        ("predict", {"photo": {"id": True}}, "id must be a whole number"),
        ("predict", {"photo": {"id": 24}}, "has no photo 24"),
        ("predict", {"photo": {"key": "../../etc/passwd"}}, "no longer here"),
        ("predict", {"photo": {"id": 1}, "patch": 3}, "patch must be an object"),
        ("predict", {"photo": {"id": 1}, "patch": {"key": "x" * 999}}, "at most 300 characters"),
        ("predict", {"photo": {"id": 1}, "patch": {"cell": NO_CELL, "icon": True}}, "place must be an object"),
        ("predict", {"photo": {"id": 1}, "patch": {"cell": NO_CELL, "icon": True}, "place": CENTRE}, "no cell at 99,0"),
        ("predict", {"photo": {"id": 1}, "patch": {"layer": LAYER, "rank": 1}, "place": CENTRE}, "no misunderstanding"),
        ("predict", {"photo": {"id": 1}, "patch": {"key": "0"}, "place": CENTRE | {"side": 0}}, "side is above 0"),
        ("predict", {"photo": {"id": 1}, "patch": {"key": "0"}, "place": CENTRE | {"x": float("nan")}}, "x must be"),
        ("photos", {"count": 100000}, "count must be a whole number from 1 to 48"),
        ("suggest", {}, "name a photo, or a class"),
        ("suggest", {"target": "no such class at all"}, "no class is called"),
        ("icon", {"cell": {"layer": "nowhere", "side": 4, "column": 0, "row": 0}}, 'shows no layer "nowhere"'),
        ("icon", {"cell": NO_CELL | {"side": 5}}, "has no 5 × 5 grid"),
        ("icon", {"cell": NO_CELL, "steps": 10**6}, "steps must be a whole number from 16 to 512"),
        ("facets", {"cell": NO_CELL, "count": 7}, "count must be a whole number from 1 to 6"),
        ("lights", {"photo": {"id": 1}, "side": 1000}, "side must be"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_one_sentence(lab, question, asked, told):
    with pytest.raises(ActatlasError, match=told) as caught:
        lab.answer(question, asked)
    assert "\n" not in str(caught.value)


def test_only_the_last_pictures_that_were_given_are_kept(lab):
    keys = [received(lab, as_file(Image.new("RGB", (8, 8), (i, 0, 0))))["key"] for i in range(20)]
    assert len(set(keys)) == 20
    answered(lab, "predict", photo={"key": keys[-1]})
    with pytest.raises(UsageError, match="give it again"):
        lab.answer("predict", {"photo": {"key": keys[0]}})


def closed(folder) -> str:
    value = answered(Lab(folder), "status")
    assert value["closed"] is not None and "\n" not in value["closed"]
    return value["closed"]


def test_without_torch_the_lab_says_which_extra_opens_it(own_atlas, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else found(name, *rest)
    )
    assert 'pip install "actatlas[build]"' in closed(own_atlas)


def test_a_growing_atlas_keeps_the_lab_closed_until_it_is_finished(own_atlas):
    manifest = own_atlas / "manifest.json"
    kept = manifest.read_bytes()
    manifest.unlink()
    lab = Lab(own_atlas)
    assert "still being built" in answered(lab, "status")["closed"]
    manifest.write_bytes(kept)
    assert answered(lab, "status")["closed"] is None
    manifest.unlink()  # another command is adding something to it
    assert answered(lab, "predict", photo={"id": 0})["before"]


def changed_plan(folder, **network) -> Path:
    plan = json.loads((folder / "plan.json").read_text())
    plan["network"] |= network
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def test_a_network_that_is_not_there_or_is_another_closes_the_lab(own_atlas):
    assert "nowhere.py" in closed(changed_plan(own_atlas, spec="nowhere.py:make"))
    assert "other weights" in closed(
        changed_plan(own_atlas, spec="packaged:efficientnet-lite0", weights_sha256="0" * 64)
    )


def test_with_the_photos_gone_the_lab_is_open_for_photos_that_are_given(own_atlas, tmp_path):
    table = (own_atlas / "images.csv").read_text().splitlines()
    moved = [table[0], *(f"{i},{tmp_path}/gone/{i}.png" for i in range(len(table) - 1))]
    (own_atlas / "images.csv").write_text("\n".join(moved) + "\n")
    journal = (own_atlas / "journal.jsonl").read_text().splitlines()
    size = (own_atlas / "images.csv").stat().st_size
    entries = [json.loads(line) for line in journal]
    lines = [json.dumps(e | {"bytes": size}) if e["path"] == "images.csv" else json.dumps(e) for e in entries]
    (own_atlas / "journal.jsonl").write_text("\n".join(lines) + "\n")

    lab = Lab(own_atlas)
    value = answered(lab, "status")
    assert value["closed"] is None and value["photos"] == 0 and "no such file" in value["without"]["photos"]
    assert answered(lab, "photos", count=2)["photos"][0]["thumbnail"] is None
    with pytest.raises(UnreadableImage, match="photo 3 cannot be shown: no such file"):
        lab.answer("predict", {"photo": {"id": 3}})
    with pytest.raises(UnreadableImage, match="take its icon"):
        lab.answer("predict", {"photo": {"id": 3}} | {
            "photo": {"key": received(lab, as_file(Image.new("RGB", (50, 50))))["key"]},
            "patch": {"cell": a_cell(own_atlas), "example": 0}, "place": CENTRE,
        })  # fmt: skip
    key = received(lab, as_file(Image.new("RGB", (260, 260), "green")))["key"]
    assert answered(lab, "predict", photo={"key": key})["before"]
    suggested = answered(lab, "suggest", photo={"key": key})["patches"]
    assert suggested


ZOO = """
import torch
from torch import nn
from actatlas.networks import load_network
from actatlas.preprocessing import Preprocessing

def grey_maps():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    how = Preprocessing((64, 64), 64, mean=(0.5,), std=(0.5,), channel_count=1)
    return load_network(module, preprocessing=how)
"""


def test_a_network_without_classes_lights_cells_and_paints_icons(drawn_photos, tmp_path):
    (tmp_path / "zoo.py").write_text(ZOO)
    folder = tmp_path / "atlas"
    actatlas.build(
        drawn_photos, out=folder, model=f"{tmp_path}/zoo.py:grey_maps", layers=["1"], grids=[3], positions=6,
        draft=True, icon_px=24, precision="float32", progress=False,
    )  # fmt: skip
    lab = Lab(folder)
    status = answered(lab, "status")
    assert status["closed"] is None and set(status["without"]) == {"classes"}
    seen = answered(lab, "predict", photo={"id": 0}, patch={"key": received(lab, as_file(WHITE))["key"]}, place=CENTRE)
    assert seen["before"] == seen["after"] == seen["classes"] == []
    assert np.asarray(picture_of(seen["picture"]))[32, 32] == 255, "it is shown all the same"
    with pytest.raises(ActatlasError, match="has no classes"):
        lab.answer("suggest", {"photo": {"id": 0}})
    (layer,) = answered(lab, "lights", photo={"id": 0})["layers"]
    assert layer["side"] == 3 and layer["cells"]
    column, row = layer["cells"][0][:2]
    icon = answered(lab, "icon", cell={"layer": "1", "side": 3, "column": column, "row": row}, steps=16)
    assert picture_of(icon["picture"]).size[0] >= 24


def test_the_shipped_atlas_opens_the_lab_for_photos_of_ones_own(tmp_path):
    folder = shutil.copytree(shipped_atlas().folder, tmp_path / "shipped")
    lab = Lab(folder)
    status = answered(lab, "status")
    assert status["closed"] is None and set(status["without"]) == {"photos", "lights", "icon"}
    assert all(why.startswith("This atlas carries no ") for why in status["without"].values())
    key = received(lab, as_file(Image.new("RGB", (300, 200), (20, 120, 30))))["key"]
    assert len(answered(lab, "predict", photo={"key": key})["before"]) >= 5
    assert answered(lab, "suggest", photo={"key": key})["patches"]
    with pytest.raises(UnfinishedAtlas, match="carries no mean"):
        lab.answer("lights", {"photo": {"key": key}})
