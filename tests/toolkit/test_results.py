"""Results as pictures, pages and numbers; directions from files."""

import base64
import hashlib
import re

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import actatlas
from actatlas.classes.directions import cell_direction
from actatlas.errors import UsageError
from actatlas.given import read_vector
from actatlas.toolkit.page import page
from actatlas.toolkit.sheet import Leaf, Strip, Tile, draw_sheet

EVIL = "<script>alert(1)</script> & <b>fat</b>"


def leaf(*titles: str) -> Leaf:
    tiles = [Tile(Image.new("RGB", (40, 40), (250, 10, 10)), (title,)) for title in titles]
    return Leaf(EVIL, ["a line"], [Strip("some pictures", tiles, (160, 160)), Strip("none", [], (10, 10))])


def test_a_page_shows_labels_as_text_and_allows_its_own_style_alone():
    text = page(leaf(EVIL, "plain"), {"title": EVIL})
    assert "<script" not in text and "<b>" not in text and text.count("&lt;script&gt;") == 5
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"style-src 'sha256-{digest}'" in policy
    assert "--accent" in style and "prefers-color-scheme" in style
    assert not re.search(r'(?:src|href)="(?!data:)', text), "it asks for nothing"
    assert text.count("<img ") == 2 and text.count("<figure>") == 2


def test_a_page_carries_nothing_that_a_photos_file_said():
    photo = Image.new("RGB", (20, 20))
    photo.info["exif"] = b"Exif\0\0a secret place"
    text = page(Leaf("t", [], [Strip("", [Tile(photo)], (20, 20))]), {})
    held = base64.b64decode(re.search(r"data:image/webp;base64,([^\"]*)", text).group(1))
    assert b"secret" not in held


def test_a_sheet_breaks_rows_where_tiles_are_many_and_is_red_where_its_tiles_are():
    few, many = draw_sheet(leaf("one")), draw_sheet(leaf(*"abcdefgh"))
    assert few.width == many.width == 1080 and many.height > few.height + 160
    share = [((np.asarray(sheet) == (250, 10, 10)).all(axis=2)).sum() for sheet in (few, many)]
    assert share[1] == 8 * share[0]


def test_a_direction_is_read_from_each_kind_of_file(tmp_path):
    vector = np.arange(5, dtype=np.float32)
    np.save(tmp_path / "a.npy", vector)
    np.savez(tmp_path / "b.npz", feature=vector[None])
    save_file({"feature": vector.astype(np.float16)}, tmp_path / "c.safetensors")
    for name in ("a.npy", "b.npz", "c.safetensors"):
        assert read_vector(tmp_path / name).tolist() == vector.tolist()


def test_a_cell_is_a_direction_less_the_layers_mean_or_less_another_cell(small_atlas):
    atlas = actatlas.open(small_atlas)
    layer = atlas.layer(atlas.layer_names[0])
    grid = layer.grid(4)
    first, second = (tuple(cell) for cell in grid.coordinates[:2].tolist())
    vector, title = cell_direction(atlas, layer.name, first)
    assert vector == pytest.approx(grid.means[0] - layer.mean) and title == f"cell {first[0]},{first[1]}"
    vector, title = cell_direction(atlas, layer.name, first, second)
    assert vector == pytest.approx(grid.means[0] - grid.means[1]) and "less" in title


def test_a_file_that_holds_no_direction_is_refused_in_a_sentence(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones(3), b=np.ones(3))
    np.save(tmp_path / "flat.npy", np.ones((3, 3)))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "any.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name in ("broken.npy", "broken.npz", "broken.safetensors", "list.txt"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    for name, said in (
        ("two.npz", "holds 2 arrays (a, b)"), ("flat.npy", "of shape (3, 3)"), ("words.npy", "a direction is"),
        ("any.npy", "cannot be read"), ("broken.npy", "cannot be read"), ("broken.npz", "cannot be read"),
        ("broken.safetensors", "cannot be read"), ("list.txt", "save a direction as one of these"),
        ("none.npy", "is no file; give a direction as"),
    ):  # fmt: skip
        with pytest.raises(UsageError) as caught:
            read_vector(tmp_path / name)
        assert said in str(caught.value) and "\n" not in str(caught.value)
