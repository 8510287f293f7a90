"""The widget without a browser: what it answers, what it refuses, and what it says where something is missing."""

from __future__ import annotations

import base64
import importlib.util
import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import actatlas
from actatlas.errors import LayerNotFound, MissingExtra, OldPackage, UnfinishedAtlas, UsageError
from actatlas.notebook import embedding, widget
from actatlas.notebook.page import Start
from actatlas.notebook.still import MOST_BYTES, still
from actatlas.progress import Silent
from actatlas.site import write_own_site
from actatlas.testing import fake_atlas


@pytest.fixture
def atlas(tmp_path):
    made = fake_atlas(tmp_path / "atlas", layers=2, sides=(4, 8), icon_px=16)
    write_own_site(made, Silent())
    made.files.finish({})
    return actatlas.open(made.folder)


@pytest.fixture
def asked(monkeypatch):
    """asked(widget, path) → what it sends to the page."""

    def asked_(shown, path):
        told = []
        monkeypatch.setattr(shown, "send", told.append)
        shown._handle_custom_msg({"kind": "ask", "path": path}, [])
        return told[0]

    return asked_


def test_a_file_of_the_page_is_handed_over_and_no_other(atlas, asked):
    shown = atlas.show()
    assert asked(shown, "atlas.js")["value"]["title"] == atlas.title
    assert asked(shown, "layers/layer.0/8/tiles_files/6/0_0.webp")["value"].startswith("data:image/webp;base64,")
    for other in ("../plan.json", "site/atlas.js", "../../../etc/passwd", "index.html", "plan.json"):
        told = asked(shown, other)
        assert "value" not in told and other in told["error"]


def test_the_first_screen_comes_with_the_page(atlas):
    page = atlas.show(layer="layer.0").page
    assert '"layers/layer.0/4/cells.js":' in page and '"layers/layer.0/4/tiles_files/6/0_0.webp":' in page
    assert '"layers/layer.0/8/cells.js":' not in page


def test_what_is_chosen_is_rows_of_the_grids_table(atlas):
    shown = atlas.show(layer="layer.0", grid=8, cell=(3, 4))
    grid = atlas.layer("layer.0").grid(8)
    assert (shown.cell.grid.layer.name, shown.cell.grid.side) == ("layer.0", 8)
    assert (shown.cell.column, shown.cell.row) == (3, 4)
    row = grid.table().iloc[[grid.cell_at(3, 4).k]]
    assert shown.selection.iloc[0][list(row.columns)].to_list() == row.iloc[0].to_list()
    picked = [{"column": c, "row": 2, "side": 8} for c in (4, 3)]
    shown.chosen = {"layer": "layer.1", "cell": {"column": 0, "row": 0, "side": 8}, "picked": picked}
    assert shown.selection[["layer", "grid", "cell"]].values.tolist() == [["layer.1", 8, "4,2"], ["layer.1", 8, "3,2"]]
    assert shown.cell is None, "the corner is an empty square"
    shown.chosen = {"layer": "layer.1", "cell": None, "picked": []}
    assert shown.selection.empty and "cosine" in shown.selection


def test_a_place_that_is_not_there_is_refused_before_anything_is_shown(atlas):
    with pytest.raises(LayerNotFound, match=r"layer\.7"):
        atlas.show(layer="layer.7")
    with pytest.raises(UsageError, match="no 5 × 5 grid"):
        atlas.show(grid=5)
    with pytest.raises(UsageError, match="no cell at 0,0"):
        atlas.embed(cell=(0, 0))


def test_beside_the_live_page_a_notebook_keeps_a_small_picture_of_what_it_begins_with(atlas):
    data, _ = atlas.show(layer="layer.0", grid=8)._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"]
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"])))
    plan = atlas.layer("layer.0").grid(8).picture(100)
    assert picture.format == "JPEG" and picture.width == plan.width + 28
    difference = np.abs(np.asarray(picture, int)[-14 - plan.height : -14, 14:-14] - np.asarray(plan, int))
    assert difference.mean() < 3 and np.asarray(picture)[:40].min() < 60, "the map, and a title above it"


def test_the_picture_is_small_also_of_a_map_that_is_hard_to_keep_small(atlas, monkeypatch):
    start = Start.of(atlas, "layer.0", 8, None)
    noise = np.random.default_rng(0).integers(0, 256, (len(start.layer.grid(8)), 100, 100, 3), np.uint8)
    start.layer.grid(8).__dict__["icons"] = noise
    found = still(atlas, start)
    assert len(found) <= MOST_BYTES < len(_as_jpeg(start.layer.grid(8).picture(100), quality=85))
    assert np.asarray(Image.open(io.BytesIO(found)), float)[100:-100, 100:-100].std() > 30, "of the noise"


def _as_jpeg(picture: Image.Image, quality: int) -> bytes:
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=quality)
    return held.getvalue()


def test_an_atlas_without_a_page_says_how_to_get_one(tmp_path):
    bare = fake_atlas(tmp_path / "bare", layers=1, sides=(4,), photos=0, icon_px=16)
    with pytest.raises(UnfinishedAtlas, match="no page yet; run its build command again"):
        actatlas.open(bare.folder).show()


def test_the_page_is_written_anew_where_something_was_found_out_since(small_atlas, tmp_path, asked):
    folder = shutil.copytree(small_atlas, tmp_path / "atlas")
    atlas = actatlas.open(folder)
    before = asked(atlas.show(), "atlas.js")["value"]
    made = atlas.class_atlas(0, grid=3)
    shown = atlas.show(layer=made)
    after = asked(shown, "atlas.js")["value"]
    assert made.title in {layer["name"] for layer in after["layers"]} - {layer["name"] for layer in before["layers"]}
    assert shown.address.startswith("#layer=tench%20%C2%B7%20") and shown.selection.empty
    assert actatlas.open(folder).files.verify() > 0


def test_without_the_extra_it_says_what_to_install(atlas, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "anywidget" else find_spec(name))
    with pytest.raises(MissingExtra, match=r'needs anywidget, which is not installed.*"actatlas\[notebook\]"'):
        atlas.show()
    assert atlas.embed().size_bytes > 0


def test_an_old_jupyter_is_told_in_one_line(atlas, monkeypatch):
    version = widget.version
    monkeypatch.setattr(widget, "version", lambda name: "2.3.2" if name == "jupyterlab" else version(name))
    with pytest.raises(OldPackage) as raised:
        atlas.show()
    told = str(raised.value)
    assert "needs jupyterlab 3.0 or newer, and 2.3.2 is installed" in told and "\n" not in told
    assert 'pip install --upgrade "jupyterlab>=3.0"' in told and raised.value.exit_code == 5


def test_an_embedded_page_says_its_size_and_leaves_finer_grids_out_first(atlas, monkeypatch):
    whole = atlas.embed()
    assert whole.left_out == "" and "4/cells.js" in whole.html.decode() and "8/cells.js" in whole.html.decode()
    assert f"holds the whole page: {whole.size_bytes / 1e6:.1f} MB" in whole._repr_html_()
    held = whole.html.decode().split('id="actatlas-files">')[1].split("</script>")[0]
    monkeypatch.setattr(embedding, "MOST_BYTES", len(held) - 100)
    coarse = atlas.embed()
    assert coarse.left_out.startswith("grids of 8") and coarse.size_bytes < whole.size_bytes
    assert "8/cells.js" not in coarse.html.decode() and coarse.left_out in coarse._repr_html_()


def test_neither_needs_torch(atlas):
    code = f"""
import sys, actatlas
atlas = actatlas.open({str(atlas.folder)!r})
atlas.show(); atlas.embed()
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
