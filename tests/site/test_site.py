"""The static page's files: what is written, that it is right, and that it is always the same."""

from __future__ import annotations

import io
import itertools
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from actatlas.site import write_site
from actatlas.site.data import script
from actatlas.site.pyramid import icon_pyramid
from actatlas.testing import FAKE_LABELS, cell_code, code_of, fake_atlas, kept_cells

SCHEMAS = Path(__file__).parent.parent.parent / "docs" / "schema"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "atlas"
    return fake_atlas(folder, layers=2, sides=(20, 5), icon_px=24, photos=12)


@pytest.fixture(scope="module")
def files(atlas) -> dict[str, bytes]:
    return written(atlas)


@pytest.mark.parametrize(("view", "cell_px"), [("tiles", 24), ("patches", 64), ("average", 64)])
def test_every_tile_of_each_pyramid_is_there_and_of_the_size_that_deep_zoom_says(files, view, cell_px):
    for side in (20, 5):
        folder, full = f"layers/layer.0/{side}", side * cell_px
        image = ElementTree.fromstring(files[f"{folder}/{view}.dzi"])
        size = image.find("{http://schemas.microsoft.com/deepzoom/2008}Size")
        tile_px = int(image.get("TileSize"))
        assert (int(size.get("Width")), int(size.get("Height")), tile_px) == (full, full, 8 * cell_px)
        finest = (full - 1).bit_length()
        expected = set()
        for level in range(finest + 1):
            level_px = -(-full // 2 ** (finest - level))
            for column, row in itertools.product(range(-(-level_px // tile_px)), repeat=2):
                name = f"{folder}/{view}_files/{level}/{column}_{row}.webp"
                expected.add(name)
                tile = Image.open(io.BytesIO(files[name]))
                assert tile.size == (
                    min(tile_px, level_px - column * tile_px), min(tile_px, level_px - row * tile_px)
                ), name  # fmt: skip
        assert expected == {name for name in files if name.startswith(f"{folder}/{view}_files/")}


def test_icons_stand_at_their_places_in_the_tiles_and_empty_squares_are_clear(files):
    kept = {tuple(place) for place in kept_cells(1, 20).tolist()}
    for column, row in itertools.product(range(20), range(20)):
        name = f"layers/layer.1/20/tiles_files/9/{column // 8}_{row // 8}.webp"
        tile = np.asarray(Image.open(io.BytesIO(files[name])).convert("RGBA"))
        x, y = column % 8 * 24 + 12, row % 8 * 24 + 12
        if (column, row) in kept:
            assert tile[y, x, 3] == 255
            assert code_of(tile[y, x, :3].tolist()) == cell_code(1, 20, column, row)
        else:
            assert tile[y, x, 3] == 0


def test_a_coarser_level_is_the_finer_one_made_smaller(atlas):
    tiles = {(t.level, t.column, t.row): t.picture for t in icon_pyramid(atlas.layer("layer.0").grid(20)).tiles()}
    whole = Image.new("RGBA", (480, 480))
    for (level, column, row), tile in tiles.items():
        if level == 9:
            whole.paste(tile, (column * 192, row * 192))
    shrunk = np.asarray(whole.reduce(4), np.int16)
    coarse = np.asarray(tiles[(7, 0, 0)], np.int16)
    assert coarse.shape == shrunk.shape == (120, 120, 4)
    assert np.abs(coarse - shrunk).max() <= 2 < np.abs(coarse - shrunk.transpose(1, 0, 2)).max()


def test_the_data_are_what_their_schemas_say_and_what_the_atlas_holds(files, atlas):
    index = validated(files["atlas.js"], "atlas", "site-atlas.json")
    assert [layer["name"] for layer in index["layers"]] == atlas.layer_names
    assert (index["labels"], index["photos"]["used"], index["is_finished"]) == (list(FAKE_LABELS), 12, True)
    for name, side in itertools.product(atlas.layer_names, (20, 5)):
        key = f"layers/{name}/{side}/cells"
        cells = validated(files[f"{key}.js"], key, "site-cells.json")
        grid = atlas.layer(name).grid(side)
        assert list(zip(cells["columns"], cells["rows"], strict=True)) == [tuple(p) for p in grid.coordinates.tolist()]
        assert cells["counts"] == grid.counts.tolist() and cells["photos"] == grid.image_counts.tolist()
        np.testing.assert_allclose(cells["cosine"], grid.cosine, atol=6e-4)
        assert cells["rank"] == grid.rank.astype(int).tolist()
        assert cells["classes"] == grid.top_classes(5)[0].tolist()
        assert [tuple(v) for v in cells["photo_columns"]["label"][0]] == grid.column_values("label")[0]


def test_patches_lie_where_the_page_looks_for_them(files, atlas):
    pool = value_of(files["atlas.js"], "atlas")["layers"][0]["patches"]
    for side in (20, 5):
        grid = atlas.layer("layer.0").grid(side)
        numbers = value_of(files[f"layers/layer.0/{side}/cells.js"], f"layers/layer.0/{side}/cells")["patches"]
        for k in range(0, len(grid), 7):
            real = [np.asarray(patch.resize((64, 64)), np.int16) for patch in grid.examples(k, 12)]
            shown = [patch_of(files, "layer.0", pool, number) for number in numbers[k]]
            assert len(shown) == len(real)
            own = [np.abs(patch - expected).mean() for patch, expected in zip(shown, real, strict=True)]
            foreign = [np.abs(patch - real[i - 1]).mean() for i, patch in enumerate(shown)]
            assert max(own) < 8 < np.mean(foreign) / 2


def test_the_other_views_show_the_nearest_patch_and_the_average_of_a_cells_patches(files, atlas):
    index = value_of(files["atlas.js"], "atlas")["layers"][1]
    cells = value_of(files["layers/layer.1/20/cells.js"], "layers/layer.1/20/cells")
    px = next(grid["view_px"] for grid in index["grids"] if grid["side"] == 20)
    at = {(c, r): k for k, (c, r) in enumerate(zip(cells["columns"], cells["rows"], strict=True))}
    finest = (20 * px - 1).bit_length()
    near = {"patches": [], "average": []}
    far = {"patches": [], "average": []}
    for column, row in itertools.product(range(20), range(0, 20, 3)):
        k = at.get((column, row))
        for view in near:
            name = f"layers/layer.1/20/{view}_files/{finest}/{column // 8}_{row // 8}.webp"
            tile = np.asarray(Image.open(io.BytesIO(files[name])).convert("RGBA"), np.float64)
            left, top = column % 8 * px, row % 8 * px
            shown = tile[top : top + px, left : left + px]
            assert shown[8, 8, 3] == (0 if k is None else 255)
            if k is not None:
                own = [patch_of(files, "layer.1", index["patches"], number) for number in cells["patches"][k]]
                expected = own[0] if view == "patches" else np.mean(own, axis=0)
                near[view].append(np.abs(shown[..., :3] - expected).mean())
                far[view].append(np.abs(shown[..., :3] - own[-1]).mean())
    for view in near:
        assert max(near[view]) < 12 < np.mean(far[view])


def test_equal_atlases_give_equal_bytes_and_the_frame_comes_last(files, atlas):
    again = written(atlas)
    assert again == files and list(again)[-1] == "index.html"


def test_whatever_a_label_says_it_stays_inside_its_string():
    nasty = ["</script><script>alert(1)</script>", "\u2028\u2029", "\udc80", 'quote " and \\', "<!--", "Zürich & 北京"]
    text = script("key", nasty)
    assert text.isascii() and not re.search(rb"[<>&]|\n.", text)
    assert json.loads(text[len('actatlas("key",') : -len(");\n")]) == nasty


def test_the_frame_has_the_title_as_text_and_nothing_from_elsewhere(files):
    page = files["index.html"].decode()
    assert "<title>A &lt;b&gt;fake&lt;/b&gt; atlas</title>" in page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not re.search(r"https?://", page) and not re.search(r"<script>|<style|\son\w+=", page)
    assert b"url(http" not in files["app.css"] and b"@import" not in files["app.css"]
    hosts = set(re.findall(rb"https?://([^/\"'`]+)", files["app.js"]))
    assert hosts <= FORMATS_OF_OPENSEADRAGON, "the app holds addresses that it might fetch from"
    assert "connect-src" not in policy  # none at all, by default-src


def test_a_growing_atlas_is_shown_grey_and_written_again_when_it_has_grown(tmp_path):
    half = written(fake_atlas(tmp_path / "half" / "atlas", layers=1, sides=(20,), photos=0, painted=0.5, icon_px=24))
    index = value_of(half["atlas.js"], "atlas")
    grid = index["layers"][0]["grids"][0]
    assert not index["is_finished"] and 0 < grid["painted"] < grid["cells"]
    assert index["layers"][0]["patches"] is None
    cells = value_of(half["layers/layer.0/20/cells.js"], "layers/layer.0/20/cells")
    assert cells["cosine"][-1] is None and cells["rank"][-1] is None and cells["cosine"][0] > 0
    column, row = cells["columns"][-1], cells["rows"][-1]
    tile = Image.open(io.BytesIO(half[f"layers/layer.0/20/tiles_files/9/{column // 8}_{row // 8}.webp"])).convert(
        "RGBA"
    )
    pixel = tile.getpixel((column % 8 * 24 + 12, row % 8 * 24 + 12))
    assert max(abs(value - 128) for value in pixel[:3]) <= 2 and pixel[3] == 255


def test_photos_that_are_gone_leave_a_page_without_patches(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(5,), photos=6, icon_px=24)
    for photo in (tmp_path / "photos").iterdir():
        photo.unlink()
    told: list[str] = []
    files = written(atlas, Told(told))
    assert not [name for name in files if name.endswith(".jpg")]
    assert value_of(files["atlas.js"], "atlas")["layers"][0]["patches"] is None
    assert value_of(files["layers/layer.0/5/cells.js"], "layers/layer.0/5/cells")["patches"] is None
    assert len(told) == 1 and "no patches" in told[0]


# --- reading what was written

# Tile formats that OpenSeadragon could read; the page gives it only its own addresses, and the policy allows no others.
FORMATS_OF_OPENSEADRAGON = {
    b"iiif.io", b"library.stanford.edu", b"schemas.microsoft.com", b"tile.openstreetmap.org",
    b"openseadragon.github.io",
}  # fmt: skip


class Told:
    """A Progress that keeps what it is told."""

    def __init__(self, lines: list[str]):
        from actatlas.progress import Silent

        self.stage = Silent().stage
        self.say = lines.append


def written(atlas, progress=None) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    out = Path("/nowhere/site")
    page = write_site(atlas, out, lambda path, data: found.update({path.relative_to(out).as_posix(): data}), progress)
    assert page == out / "index.html"
    return found


def patch_of(files: dict[str, bytes], slug: str, pool: dict, number: int) -> np.ndarray:
    """(px, px, 3) int16, from the sheet where the page looks for it."""
    edge, px = pool["sheet_edge"], pool["size_px"]
    sheet = np.asarray(Image.open(io.BytesIO(files[f"layers/{slug}/patches/{number // edge**2}.jpg"])), np.int16)
    row, column = divmod(number % edge**2, edge)
    return sheet[row * px : (row + 1) * px, column * px : (column + 1) * px]


def value_of(text: bytes, key: str):
    prefix = f"actatlas({json.dumps(key)},".encode()
    assert text.startswith(prefix) and text.endswith(b");\n")
    return json.loads(text[len(prefix) : -3])


def validated(text: bytes, key: str, schema: str):
    value = value_of(text, key)
    jsonschema.Draft202012Validator(json.loads((SCHEMAS / schema).read_text())).validate(value)
    return value
