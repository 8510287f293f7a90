"""What a network misunderstands: searched and proven on a small network of colours, with one mistake in it."""

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import actatlas
from actatlas import cli
from actatlas.confusions import story
from actatlas.confusions.proving import wilson
from actatlas.errors import NetworkError, TooFewImages, UnreadableImage, UsageError
from actatlas.networks import load_network
from actatlas.preprocessing import Preprocessing

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
PX = 48
SPEC = "packaged:efficientnet-lite0"


class Coloured(nn.Module):
    """Tells 20 hues apart; neighbouring ones look alike to it. By mistake hue 15 also speaks for hue 5, though not so
    much that a picture of hue 15 has hue 5 among its first five."""

    def __init__(self):
        super().__init__()
        hues = torch.arange(20) / 20
        angles = torch.stack([torch.cos(2 * torch.pi * hues), torch.sin(2 * torch.pi * hues)], dim=1)
        self.plane = nn.Conv2d(3, 2, 1, bias=False)
        with torch.no_grad():
            self.plane.weight.copy_(torch.tensor([[1.0, -0.5, -0.5], [0.0, 0.87, -0.87]])[:, :, None, None])
        self.sharp = nn.Conv2d(2, 20, 1)
        with torch.no_grad():
            self.sharp.weight.copy_(6 * angles[:, :, None, None])
            self.sharp.bias.fill_(-2.0)
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool2d(8)
        self.head = nn.Linear(20, 20)
        with torch.no_grad():
            steps = (torch.arange(20)[:, None] - torch.arange(20)).abs()
            steps = torch.minimum(steps, 20 - steps)
            self.head.weight.copy_(torch.exp(-(steps**2.0)))
            self.head.weight[5, 15] += 1.15
            self.head.bias.zero_()

    def forward(self, x):
        h = self.pool(self.relu(self.sharp(self.plane(x))))
        return self.head(h.mean(dim=(2, 3)))


def coloured_photo(hue: int, number: int) -> Image.Image:
    """Mostly of one hue, with a small square of another in it."""
    random = np.random.default_rng((hue, number))
    picture = Image.new("HSV", (64, 64), (round(hue * 255 / 20) % 256, int(random.integers(120, 255)), 220))
    other = int(random.integers(20))
    left, top = random.integers(0, 48, 2).tolist()
    picture.paste((round(other * 255 / 20) % 256, 255, 235), (left, top, left + 14, top + 14))
    noise = random.integers(-12, 12, (64, 64, 3))
    return Image.fromarray(np.clip(np.asarray(picture.convert("RGB")) + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def coloured_photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coloured")
    for hue in range(20):
        (folder / f"hue {hue}").mkdir()
        for number in range(8):
            coloured_photo(hue, number).save(folder / f"hue {hue}" / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def coloured_network():
    labels = [f"hue {i}" for i in range(20)]
    return load_network(Coloured(), preprocessing=Preprocessing((PX, PX), PX), labels=labels)


@pytest.fixture(scope="module")
def folder(coloured_photos, coloured_network, tmp_path_factory):
    out = tmp_path_factory.mktemp("confusions") / "atlas"
    actatlas.build(
        coloured_photos, out=out, model=coloured_network, layers=["pool"], grids=[6], positions=4, draft=True,
        icon_px=16, precision="float32", progress=False,
    )  # fmt: skip
    return out


@pytest.fixture
def atlas(folder, coloured_network, tmp_path):
    shutil.copytree(folder, tmp_path / "atlas")
    opened = actatlas.open(tmp_path / "atlas")
    opened.network = coloured_network
    return opened


def test_what_is_found_turns_photos_and_random_pairs_do_not(atlas, coloured_photos):
    found = atlas.confusions(coloured_photos, top=5)
    best = found.to_json()[0]
    assert best["flip_rate"] >= 0.2 and max(best["controls"].values()) < best["flip_rate"] / 2
    assert best["interval"][0] < best["flip_rate"] <= best["interval"][1] and best["tested"] >= 20
    assert best["rank"] == 1 and best["corner"] in ("top-left", "top-right", "bottom-left", "bottom-right")
    assert [v["rank"] for v in found.to_json()] == list(range(1, len(found) + 1))
    assert [e.proof.effect for e in found.entries] == sorted((e.proof.effect for e in found.entries), reverse=True)

    drawn = atlas.confusions(coloured_photos, top=5, at_random=True)
    assert np.mean([e.proof.patch.rate for e in drawn.entries]) < best["flip_rate"] / 2

    targets, sources = [p["target"] for p in found.to_json()], [p["patch_image"] for p in found.to_json()]
    assert len(set(targets)) == len(targets) and len(set(sources)) == len(sources)


def test_the_pasted_patch_is_what_turns_the_photos(atlas, coloured_photos, coloured_network):
    """The figures again from the list alone, its file, side and corner, on the 50 photos that its rule names."""
    value = atlas.confusions(coloured_photos, top=5).to_json()[0]
    patch = np.asarray(Image.open(value["patch_file"]).convert("RGB"))
    assert max(patch.shape[:2]) == value["side_px"] <= 0.4 * PX
    target = coloured_network.labels.index(value["target"])
    fair = []
    for path in sorted(coloured_photos.rglob("*.png")):
        pixels = coloured_network.pixels(Image.open(path))
        logits = coloured_network.module(coloured_network.normalize(pixels[None]))[0]
        is_right = coloured_network.labels[int(logits.argmax())] == path.parent.name
        if is_right and int(logits.argmax()) != target and str(path) != value["patch_image"]:
            fair.append((float(logits[target]), pixels))
    turned, (h, w) = 0, patch.shape[:2]
    top, left = (0 if side in value["corner"] else PX - size for side, size in (("top", h), ("left", w)))
    for _, pixels in sorted(fair, key=lambda pair: -pair[0])[:50]:
        pixels[:, top : top + h, left : left + w] = torch.from_numpy(patch.copy()).permute(2, 0, 1) / 255
        turned += int(coloured_network.module(coloured_network.normalize(pixels[None]))[0].argmax()) == target
    scored = value["flip_rate"] * value["tested"]
    assert value["tested"] == 25 and scored >= 2 and scored <= turned <= 25 + scored


def test_a_patch_box_is_where_the_patch_was_cut(atlas):
    value = atlas.confusions(top=1).to_json()[0]
    with Image.open(value["patch_image"]) as photo, Image.open(value["patch_original"]) as patch:
        left, top, right, bottom = (
            round(v * e) for v, e in zip(value["patch_box"], (*photo.size, *photo.size), strict=True)
        )
        assert np.array_equal(np.asarray(photo.convert("RGB").crop((left, top, right, bottom))), np.asarray(patch))
    assert value["tested"] == 0 and value["flip_rate"] is None and value["side_px"] <= 0.4 * PX


def test_a_list_is_kept_and_not_searched_twice(atlas, coloured_photos, monkeypatch):
    first = atlas.confusions(coloured_photos, top=3)
    opened = actatlas.open(atlas.folder)
    monkeypatch.setattr(actatlas.working.WorkingAtlas, "network", property(lambda self: pytest.fail("it was asked")))
    again = opened.confusions(coloured_photos, top=3)
    assert again.to_json() == first.to_json()
    # The list was written after this one was opened.
    assert atlas.confusions(top=3).to_json() == first.to_json()
    assert actatlas.open(atlas.folder).files.verify()
    kept = json.loads((atlas.folder / "layers" / "pool" / "confusions" / "list.json").read_text())
    jsonschema.validate(kept, json.loads((SCHEMAS / "confusions.json").read_text()))


def test_the_photos_behind_a_proposal_speak_for_its_target(atlas, tmp_path):
    found = atlas.confusions(top=2)
    behind = found.photos_behind()
    assert {"rank", "target", "concept", "path", "label", "attribution", "is_patch"} <= set(behind.columns)
    assert (behind["attribution"] > 0).all() and behind[behind["rank"] == 1]["is_patch"].sum() == 1
    assert behind[behind["rank"] == 1]["attribution"].is_monotonic_decreasing


def test_a_second_network_says_what_transfers(atlas, coloured_photos, coloured_network):
    def second(module, labels):
        return load_network(module, preprocessing=Preprocessing((PX, PX), PX), labels=labels)

    found = atlas.confusions(coloured_photos, top=1, second=coloured_network)
    same = found.to_json()[0]
    stubborn = Coloured()  # takes everything for one class, and not for the target
    with torch.no_grad():
        stubborn.head.weight.zero_()
        stubborn.head.bias[(found[0].proposal.target + 1) % 20] = 1.0
    other = atlas.confusions(coloured_photos, top=1, second=second(stubborn, coloured_network.labels)).to_json()[0]
    strange = second(Coloured(), [f"other {i}" for i in range(20)])
    unknown = atlas.confusions(coloured_photos, top=1, second=strange).to_json()[0]
    assert same["transfer"] == same["flip_rate"] > 0 and other["transfer"] == 0 and unknown["transfer"] is None


def test_few_photos_are_said_to_widen_the_interval_and_too_few_are_refused(atlas, coloured_photos, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for hue in (1, 2, 3, 8, 9, 10):
        shutil.copy(coloured_photos / f"hue {hue}" / "0.png", few / f"{hue}.png")
    said = Said()
    found = atlas.confusions(few, top=1, progress=said)
    value = found.to_json()[0]
    assert value["tested"] in (2, 3) and value["interval"][1] - value["interval"][0] > 0.4
    assert any("photos instead of 50" in message for message in said.messages)
    for path in list(few.iterdir())[2:]:
        path.unlink()
    with pytest.raises(TooFewImages, match="photos are left to test a patch on"):
        atlas.confusions(few, top=1)


def test_stories_are_drawn_and_listed(atlas, coloured_photos):
    found = atlas.confusion_stories(atlas.confusions(coloured_photos, top=2), 1)
    values = found.to_json()
    assert values[1]["story"] is None
    with Image.open(values[0]["story"]) as picture:
        assert picture.width > 900 and picture.height > 600 and np.asarray(picture).std() > 20
    with pytest.raises(UsageError, match="--test"):
        atlas.confusion_stories(atlas.confusions(top=3), 1)


def test_what_else_lies_in_the_cell_is_of_other_photos(atlas):
    layer = atlas.layer(atlas.layer_names[-1])
    grid = layer.grid(layer.grid_sides[0])
    k = int(np.argmax(grid.image_counts))
    rows = grid.nearest_rows(k, 4)
    own = layer.patches(rows)
    assert len(own) == 4
    for source in range(3):
        scene = story.Scene(grid, k, own[source], int(layer.places.image_ids[rows[source]]), 8, None, 0, [])
        wanted = [own[i] for i in range(4) if i != source]
        shown = story._others(scene)
        assert [picture.tobytes() for picture in shown] == [picture.tobytes() for picture in wanted]


def test_a_network_without_logits_or_attributions_says_so(coloured_photos, tmp_path):
    features = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU())
    network = load_network(features, preprocessing=Preprocessing((PX, PX), PX))
    atlas = actatlas.build(
        coloured_photos,
        out=tmp_path / "a",
        model=network,
        layers=["1"],
        grids=[4],
        draft=True,
        icon_px=16,
        progress=False,
    )
    with pytest.raises(NetworkError, match="no classes"):
        atlas.confusions()


# --- one patch


def test_one_patch_turns_photos_and_the_controls_do_not(coloured_network):
    photos = [(f"{hue}", coloured_photo(hue, 90)) for hue in (3, 4, 6, 7)]
    patch = Image.new("HSV", (30, 30), (round(15 * 255 / 20), 255, 235)).convert("RGB")
    done = actatlas.try_patch(coloured_network, photos, patch, "hue 5")
    assert done.flip_rate >= 0.5 and max(done.controls.values()) <= done.flip_rate / 2
    curve = done.curve("patch")
    assert curve[-1] > 1.2 * curve[0] and curve[-1] > 1.2 * done.curve("grey")[-1]
    value = done.to_json(coloured_network.labels)
    assert value["flip_rate"] == np.mean([image["flipped"] for image in value["images"]])
    turned = next(image for image in value["images"] if image["flipped"])
    assert turned["after"][0]["class"] == "hue 5" and turned["before"][0]["class"] != "hue 5"
    assert turned["size"] <= 0.4 * PX and len(turned["before"]) == 5
    table = done.table().set_index("arm")
    assert list(table.index) == ["patch", *done.controls] and (table["photos"] == 4).all()
    assert table["turned"].to_dict() == {"patch": done.flip_rate, **done.controls}
    assert table.loc["patch", ["low", "high"]].tolist() == list(wilson(round(4 * done.flip_rate), 4))
    assert table.loc["patch", "likely"] == pytest.approx(curve.max())
    assert done.picture().width > 500 and done._repr_png_().startswith(b"\x89PNG")


def test_a_photo_that_is_the_target_already_does_not_count(coloured_network):
    patch = Image.new("RGB", (9, 9), "white")
    photos = [("five", coloured_photo(5, 1)), ("one", coloured_photo(1, 1))]
    done = actatlas.try_patch(coloured_network, photos, patch, "hue 5")
    values = done.to_json(coloured_network.labels)["images"]
    assert [v["already_target"] for v in values] == [True, False] and not values[0]["flipped"]
    assert done.flip_rate in (0.0, 1.0)
    with pytest.raises(UsageError, match="for the target already"):
        actatlas.try_patch(coloured_network, photos[:1], patch, "hue 5")


def test_a_patch_larger_than_the_photo_is_refused(coloured_network):
    with pytest.raises(UsageError, match="at most 100%"):
        actatlas.try_patch(
            coloured_network, [("a", coloured_photo(1, 1))], Image.new("RGB", (9, 9)), "hue 5", sizes=[1.4]
        )


def test_the_patch_command_on_a_real_network(photos, tmp_path, capsys):
    """The packaged network, an otter, and a black dog's face: the otter becomes less of an otter."""
    otter, dog = (str(next(photos.glob(f"*_{name}.jpg"))) for name in ("otter", "Great_Dane"))
    out = tmp_path / "patch.png"
    arguments = ["patch", "--model", SPEC, "--onto", otter, "--patch", dog, "--target", "hippopotamus", "-o", str(out)]
    assert cli.main([*arguments, "--size", "20%", "--size", "0.4", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert set(value["controls"]) == {"noise", "grey", "other_patch"} and value["target"] == "hippopotamus"
    (image,) = value["images"]
    assert image["before"][0]["class"] == "otter" and image["size"] in (44, 89) and len(image["curve"]["size"]) == 2
    with Image.open(out) as picture:
        assert picture.width > 900 and np.asarray(picture).std() > 20


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", SPEC, "--target", "otter"], 2, "give the patch"),
        (["--patch", "no.png", "--target", "otter"], 2, "give an atlas folder"),
        (["--model", SPEC, "--patch", "no.png", "--target", "otter"], 3, "the patch no.png cannot be used"),
        (["--model", SPEC, "--patch", "PHOTO", "--target", "ottr"], 2, "nearest"),
        (["--model", SPEC, "--patch", "PHOTO", "--target", "otter", "--size", "150%"], 2, "at most 100%"),
    ],
)  # fmt: skip
def test_bad_input_to_patch_is_one_line(drawn_photos, tmp_path, monkeypatch, capsys, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    photo = str(sorted(drawn_photos.iterdir())[0])
    given = [photo if argument == "PHOTO" else argument for argument in arguments]
    assert cli.main(["patch", "--onto", photo, *given]) == code
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in error and error.startswith("actatlas: ") and not list(tmp_path.iterdir())


def test_a_cells_patch_or_icon_can_be_pasted(atlas, coloured_photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(actatlas.working.WorkingAtlas, "network", atlas.network)
    cell = "{},{}".format(*atlas.layer("pool").grid(6).coordinates[0])
    photo = str(coloured_photos / "hue 3" / "1.png")
    for extra in ([], ["--icon"]):
        out = tmp_path / "p.png"
        given = [
            "patch",
            str(atlas.folder),
            "--onto",
            photo,
            "--cell",
            cell,
            "--target",
            "hue 5",
            "-o",
            str(out),
            *extra,
        ]
        assert cli.main([*given, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["picture"] == str(out)


class Said:
    """Progress that remembers what was said."""

    def __init__(self):
        self.messages = []

    def say(self, message):
        self.messages.append(message)

    def stage(self, title, total, unit="", work=None):
        from actatlas.progress import Silent

        return Silent().stage(title, total, unit, work)


def test_an_unreadable_patch_says_which_file(coloured_network, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(UnreadableImage, match="the patch .*broken.png cannot be used"):
        actatlas.try_patch(coloured_network, [("a", coloured_photo(1, 1))], broken, "hue 5")
