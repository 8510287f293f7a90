"""While icons are painted a page that was written before shows those that were committed since."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from actatlas.progress import Silent
from actatlas.site import GrowingSite, data, write_own_site
from actatlas.store import paths, pictures
from actatlas.testing import cell_code, code_of, fake_atlas

LAYER, SIDE, PX = "layer.0", 20, 21  # an odd side: cells of half the size do not begin at whole pixels
FOLDER = f"layers/{LAYER}/{SIDE}"


@pytest.fixture
def growing(tmp_path):
    """An atlas half of whose icons were there when its page was written, and the chunks that are still to come."""
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(SIDE,), photos=0, painted=0.5, icon_px=PX)
    write_own_site(atlas, Silent())
    whole = fake_atlas(tmp_path / "whole", layers=1, sides=(SIDE,), photos=0, icon_px=PX)
    chunks = whole.files.committed(paths.icon_chunks(paths.home(LAYER), SIDE))
    return atlas, [(path, whole.files.read_bytes(path)) for path in chunks if not atlas.files.has(path)]


def value_of(content):
    return json.loads(data.data_of(content))


def picture(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def test_what_was_committed_since_is_shown(growing):
    atlas, chunks = growing
    site = GrowingSite(atlas.folder)
    (path, content), *rest = chunks
    assert rest, "some are to come even then"
    before = value_of(site.file("atlas.js"))["layers"][0]["grids"][0]
    told_before = value_of(site.file(f"{FOLDER}/cells.js"))
    atlas.files.write(path, content)
    rows = atlas.files.read_arrays(path, ["rows"])["rows"]
    after = value_of(site.file("atlas.js"))["layers"][0]["grids"][0]
    told = value_of(site.file(f"{FOLDER}/cells.js"))
    assert after["painted"] == before["painted"] + len(rows)
    assert {key: told[key] for key in told if key not in ("cosine", "rank", "remarks")} == {
        key: told_before[key] for key in told if key not in ("cosine", "rank", "remarks")
    }
    k = int(rows[0])
    assert told_before["cosine"][k] is None and told["cosine"][k] is not None
    column, row = told["columns"][k], told["rows"][k]
    finest = (SIDE * PX - 1).bit_length()
    tile = picture(site.file(f"{FOLDER}/tiles_files/{finest}/{column // 8}_{row // 8}.webp"))
    middle = tile[(row % 8) * PX + PX // 2, (column % 8) * PX + PX // 2]
    assert code_of(middle) == cell_code(0, SIDE, column, row)
    half = picture(site.file(f"{FOLDER}/tiles_files/{finest - 1}/{column // 16}_{row // 16}.webp"))
    middle = half[int((row % 16 + 0.5) * PX / 2), int((column % 16 + 0.5) * PX / 2)]
    assert code_of(middle) == cell_code(0, SIDE, column, row)


def test_its_pictures_are_those_that_the_page_would_have(growing):
    atlas, chunks = growing
    site = GrowingSite(atlas.folder)
    site.file(f"{FOLDER}/tiles_files/5/0_0.webp")  # and what was drawn before does not stay
    for path, content in chunks:
        atlas.files.write(path, content)
    shown = {p: site.file(p.removeprefix("site/")) for p in atlas.files.committed(f"site/{FOLDER}/tiles_files/")}
    write_own_site(atlas.__class__(atlas.files), Silent())
    for path, content in shown.items():
        written, seen = picture(atlas.files.read_bytes(path)).astype(int), picture(content).astype(int)
        assert written.shape == seen.shape
        assert np.abs(written - seen).mean() < 12, f"{path}: half a pixel off, no more"
    assert site.file("index.html") is None and site.file(f"{FOLDER}/photos.js") is None


def test_a_map_that_is_looked_at_is_not_made_again_because_somebody_asks_what_is_new(tmp_path, monkeypatch):
    atlas = fake_atlas(tmp_path / "atlas", layers=3, sides=(SIDE, 40), photos=0, painted=0.5, icon_px=PX)
    write_own_site(atlas, Silent())
    decoded = []
    decode = pictures.decode
    monkeypatch.setattr(pictures, "decode", lambda *args, **named: decoded.append(1) or decode(*args, **named))
    site = GrowingSite(atlas.folder)
    first = site.file(f"{FOLDER}/tiles_files/5/0_0.webp")
    count = len(decoded)
    site.file("atlas.js")
    assert count > 0 and site.file(f"{FOLDER}/tiles_files/5/0_0.webp") == first and len(decoded) == count
    chunks = atlas.files.committed(paths.icon_chunks(paths.home(LAYER), SIDE))
    finest = (SIDE * PX - 1).bit_length()
    site.file(f"{FOLDER}/tiles_files/{finest}/1_1.webp")
    assert len(decoded) - count <= len(chunks), "each file is read once for a tile"


def test_of_a_finished_atlas_the_files_are_as_they_were_written(growing):
    atlas, _ = growing
    site = GrowingSite(atlas.folder)
    assert site.file("atlas.js") is not None
    atlas.files.finish({})
    assert site.file("atlas.js") is None and site.file(f"{FOLDER}/cells.js") is None


@pytest.mark.parametrize("path", ["layers/layer.9/20/cells.js", "layers/layer.0/21/cells.js", "layers/../20/cells.js"])
def test_what_is_not_there_is_not_made_up(growing, path):
    assert GrowingSite(growing[0].folder).file(path) is None


@pytest.mark.parametrize("tile", ["30/0_0", "9/5_0", "9/0_5", "0/1_0"])
def test_there_are_no_tiles_beside_the_map(growing, tile):
    assert GrowingSite(growing[0].folder).file(f"{FOLDER}/tiles_files/{tile}.webp") is None
