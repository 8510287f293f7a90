"""How much of the photos a site shows: nothing, patches, thumbs or originals; never what else their files say."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from actatlas import cli
from actatlas.atlas import Atlas
from actatlas.site import SiteSettings, write_own_site, write_site
from actatlas.store import AtlasFolder, paths
from actatlas.store.pictures import png
from actatlas.testing import fake_atlas

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
MAGENTA = (255, 0, 255)  # no icon of the drawn atlas has this colour, nor anything near it
OWNER, COMMENT = b"Jane Doe of 12 Hidden Lane", b"a comment about Jane Doe"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    """Of photos that are magenta with marks, some of them large JPEGs, lying on their side, full of metadata."""
    atlas = fake_atlas(tmp_path_factory.mktemp("examples") / "atlas", layers=2, sides=(5,), icon_px=24, photos=12)
    for number, path in enumerate(sorted((atlas.folder.parent / "photos").iterdir())):
        photo = Image.new("RGB", (1400, 1000), MAGENTA)
        photo.paste((20 * number, 255 - 20 * number, 0), (0, 0, 700, 300))  # so it is seen which way is up
        photo.paste((0, 0, 20 * number), (900, 500, 1300, 900))
        if number % 2:
            photo.save(path, "PNG")
        else:
            photo.save(path, "JPEG", quality=95, exif=told_by_a_camera(), icc_profile=a_profile(), comment=COMMENT)
    _misunderstand(atlas)
    return atlas


@pytest.mark.parametrize(("examples", "longest"), [("thumbs", 256), ("originals", 1024)])
def test_photos_ship_upright_small_numbered_and_without_a_word_of_their_files(atlas, examples, longest):
    files = written(atlas, examples)
    assert atlas_value(files)["examples"] == examples
    names = [name for name in files if name.startswith(f"{examples}/")]
    assert sorted(names) == sorted(f"{examples}/{number}.jpg" for number in range(12)), "each photo once, by number"
    for name in names:
        number = int(Path(name).stem)
        shown = Image.open(io.BytesIO(files[name]))
        with Image.open(sorted((atlas.folder.parent / "photos").iterdir())[number]) as stored:
            upright = ImageOps.exif_transpose(stored).convert("RGB")
        assert (upright.height > upright.width) == (number % 2 == 0), "the JPEGs lie on their side"
        assert max(shown.size) == longest and abs(shown.width / shown.height - upright.width / upright.height) < 0.01
        assert difference(shown.convert("RGB"), upright.resize(shown.size)) < 6
        assert difference(shown.convert("RGB"), upright.resize(shown.size).rotate(180)) > 20


@pytest.mark.parametrize("examples", ["patches", "thumbs", "originals"])
def test_no_metadata_survives_in_any_picture_and_no_path_in_any_file(atlas, examples):
    files = written(atlas, examples)
    folder = str(atlas.folder.parent).encode()
    pictures = [name for name in files if name.endswith((".jpg", ".webp"))]
    assert any(name.endswith(".jpg") for name in pictures)
    for name, content in files.items():
        assert not any(secret in content for secret in (OWNER, COMMENT, b"SecretCam", folder)), name
    for name in pictures:
        picture = Image.open(io.BytesIO(files[name]))
        assert not picture.getexif() and b"Exif" not in files[name] and b"http://ns.adobe.com" not in files[name], name
        assert {"icc_profile", "comment", "exif", "xmp"}.isdisjoint(picture.info), name


def test_where_the_photos_and_the_network_lie_stays_private(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(5,), icon_px=24, photos=0)
    atlas.plan["images"]["spec"] = "/home/jane/holiday"
    atlas.plan["network"]["spec"] = "/home/jane/secret/zoo.py:small"
    atlas.plan["origin"] = "Network /home/jane/secret/zoo.py:small. Photos: /home/jane/holiday."
    value = atlas_value(written(atlas, "none"))
    assert (value["network"], value["origin"]) == ("zoo.py:small", "Network zoo.py:small. Photos: holiday.")
    atlas.plan["network"]["spec"] = "timm:hf_hub/owner/model"
    assert atlas_value(written(atlas, "none"))["network"] == "timm:hf_hub/owner/model"


@pytest.mark.parametrize(
    ("examples", "shown"),
    [("none", []), ("patches", ["patch"]), ("thumbs", ["patch", "story"]), ("originals", ["patch", "story"])],
)
def test_a_misunderstanding_shows_its_patch_with_the_patches_and_its_photo_with_the_photos(atlas, examples, shown):
    files = written(atlas, examples)
    (told,) = value_of(files["confusions.js"])
    assert told["told"] == "one taken for another"
    for kind in ("patch", "story"):
        name = f"confusions/layer.1/01-{kind}.jpg"
        assert told[kind] == (name if kind in shown else None)
        assert (name in files) == (kind in shown)


def test_none_has_no_pixel_of_a_photo(atlas):
    shown, hidden = written(atlas, "patches"), written(atlas, "none")
    assert magenta(shown) > 1000 and magenta(hidden) == 0
    assert atlas_value(hidden)["examples"] == "none"
    assert not [name for name in hidden if re.search(r"patches|average|\.jpg$", name)]
    assert all(any(part in name for name in shown) for part in ("patches_files", "average_files", ".jpg"))
    assert all(layer["patches"] is None for layer in atlas_value(hidden)["layers"])
    assert value_of(hidden["layers/layer.0/5/cells.js"])["patches"] is None


def test_a_patch_is_at_its_place_on_its_photo(atlas):
    files = written(atlas, "originals")
    pool = atlas_value(files)["layers"][1]["patches"]
    places = value_of(files["layers/layer.1/places.js"])
    jsonschema.validate(places, json.loads((SCHEMAS / "site-places.json").read_text()))
    assert len(places["photos"]) == len(places["boxes"]) == pool["count"]
    own, foreign = [], []
    for number, (photo, box) in enumerate(zip(places["photos"], places["boxes"], strict=True)):
        shown = Image.open(io.BytesIO(files[f"originals/{photo}.jpg"]))
        scale = np.array(shown.size * 2) / 1000
        cut = shown.crop(tuple(np.rint(box * scale).astype(int).tolist())).resize((64, 64))
        sheet = Image.open(io.BytesIO(files[f"layers/layer.1/patches/{number // 64}.jpg"]))
        row, column = divmod(number % 64, 8)
        patch = sheet.crop((column * 64, row * 64, column * 64 + 64, row * 64 + 64))
        own.append(difference(patch, cut))
        foreign.append(difference(patch, cut.rotate(180)))
    assert max(own) < 12 < np.mean(foreign)


def test_photos_are_decoded_again_only_where_they_are_missing(atlas, monkeypatch):
    write_own_site(atlas, progress(), "thumbs")
    first = sorted(atlas.files.committed("site/thumbs/"))
    (atlas.folder / first[3]).unlink()
    again = Atlas(AtlasFolder.existing(atlas.folder))
    read: list[int] = []
    own = again.source.read_reduced
    monkeypatch.setattr(again.source, "read_reduced", lambda i, px: (read.append(i), own(i, px))[1])
    write_own_site(again, progress())
    assert read == [int(Path(first[3]).stem)] and sorted(again.files.committed("site/thumbs/")) == first


def test_an_atlas_remembers_what_its_page_may_show(atlas, tmp_path, capsys):
    site = atlas.folder / "site"

    def run(*options: str) -> str:
        assert cli.main(["site", str(atlas.folder), "--json", *options]) == 0
        return json.loads(capsys.readouterr().out)["examples"]

    write_own_site(atlas, progress(), "patches")
    assert run("--examples", "originals") == "originals" and len(list((site / "originals").iterdir())) == 12
    assert run("--examples", "none") == "none" and not list(site.rglob("*.jpg")), "photos were left behind"
    assert not [path for path in site.rglob("*") if path.is_file() and re.search(r"average|patches", str(path))]
    assert run() == "none" and not list(site.rglob("*.jpg"))
    assert run("-o", str(tmp_path / "out")) == "none" and not list((tmp_path / "out").rglob("*.jpg"))
    assert run("-o", str(tmp_path / "more"), "--examples", "patches") == "patches"
    assert list((tmp_path / "more").rglob("*.jpg")) and not list(site.rglob("*.jpg"))
    record = json.loads((atlas.folder / "site.json").read_text())
    jsonschema.validate(record, json.loads((SCHEMAS / "site.json").read_text()))
    assert cli.main(["verify", str(atlas.folder)]) == 0
    assert cli.main(["site", str(atlas.folder), "--examples", "everything"]) == 2


# --- photos with secrets, and reading what was written


def _misunderstand(atlas: Atlas) -> None:
    """As `actatlas confusions` leaves it."""
    proposal = {"rank": 1, "target": 2, "concept": "one", "k": 4}
    entry = {"proposal": proposal, "proof": None, "told": "one taken for another"}
    atlas.files.write_json(paths.confusion_list("layer.1"), {"grid": 5, "entries": [entry]})
    for kind in ("patch", "story"):
        atlas.files.write(paths.confusion_picture("layer.1", kind, 1), png(Image.new("RGB", (60, 60), MAGENTA)))


def told_by_a_camera() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    exif[0x010F], exif[0x013B] = "SecretCam", OWNER.decode()
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.9), 3: "E", 4: (2.0, 17.0, 40.2)})
    return exif


def a_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def progress():
    from actatlas.progress import Silent

    return Silent()


def written(atlas, examples: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    out = Path("/nowhere/site")
    write_site(
        atlas, out, lambda path, data: found.update({path.relative_to(out).as_posix(): data}),
        settings=SiteSettings(examples),
    )  # fmt: skip
    return found


def value_of(text: bytes):
    return json.loads(text[text.index(b",") + 1 : -3])


def atlas_value(files: dict[str, bytes]):
    value = value_of(files["atlas.js"])
    jsonschema.validate(value, json.loads((SCHEMAS / "site-atlas.json").read_text()))
    return value


def magenta(files: dict[str, bytes]) -> int:
    """Pixels of this colour in all pictures."""
    count = 0
    for name, content in files.items():
        if name.endswith((".jpg", ".webp")):
            pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"), np.int16)
            near = np.abs(pixels[..., :3] - MAGENTA).max(axis=-1) < 40
            count += int((near & (pixels[..., 3] > 0)).sum())
    return count


def difference(a: Image.Image, b: Image.Image) -> float:
    return float(np.abs(np.asarray(a, np.int16) - np.asarray(b.convert("RGB"), np.int16)).mean())
