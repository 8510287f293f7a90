"""Rows of two atlases find one another by photo and place, or a sentence says why not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import actatlas
from actatlas import cli
from actatlas.comparison import ComparisonSettings, choose_layers, compare_layers, draw_comparison, keep_comparison
from actatlas.comparison.drawing import COLOURS
from actatlas.comparison.keeping import layer_names
from actatlas.comparison.matching import match_rows
from actatlas.errors import FolderTaken, NetworkError, UsageError
from actatlas.progress import Silent
from actatlas.testing.small import small_build, small_network, small_photos

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return small_photos(tmp_path_factory.mktemp("photos") / "photos", 30)


@pytest.fixture(scope="module")
def atlas(photos, tmp_path_factory):
    return small_build(photos, tmp_path_factory.mktemp("first") / "first")


@pytest.fixture(scope="module")
def again(photos, tmp_path_factory):
    return small_build(photos, tmp_path_factory.mktemp("second") / "second")


def vectors_of(paths, out, channels=6):
    """An atlas of vectors that say which photo they are of."""
    rows = np.array([np.random.default_rng(int(path.stem)).normal(size=channels) for path in paths])
    return actatlas.build_from_vectors(rows, [str(path) for path in paths], out=out, progress=False)


def test_rows_match_whatever_the_order_of_the_photos_and_whichever_are_missing(photos, tmp_path):
    paths = sorted(photos.iterdir())
    one = vectors_of(paths, tmp_path / "one")
    moved = tmp_path / "elsewhere"
    shutil.copytree(photos, moved)
    others = [moved / path.name for path in reversed(paths[3:])]
    (moved / paths[7].name).write_bytes(b"no picture")
    other = vectors_of(others, tmp_path / "other", channels=9)
    found = match_rows(one.layer("vectors"), other.layer("vectors"))
    names = [
        [atlas.images.set_index("id")["path"][i].split("/")[-1] for i in atlas.layer("vectors").places.image_ids[rows]]
        for atlas, rows in zip((one, other), found.rows, strict=True)
    ]
    assert names[0] == names[1] and len(set(names[0])) == len(paths) - 4
    assert found.alone == (4, 0) and found.photos == (26, 30, 26)


def test_places_that_were_drawn_alike_match_one_to_one(atlas, again):
    found = match_rows(atlas.layer("second"), again.layer("first"))
    assert np.array_equal(*found.rows) and found.alone == (0, 0) and len(found) == 30 * 4


def test_another_seed_is_one_sentence_with_the_command_that_fits(atlas, photos, tmp_path):
    other = small_build(photos, tmp_path / "other", seed=1)
    with pytest.raises(UsageError) as told:
        match_rows(atlas.layer("second"), other.layer("second"))
    sentence = str(told.value)
    assert "too few to compare" in sentence and "--seed (0 and 1)" in sentence
    assert f"actatlas build {photos} --out NEW" in sentence
    assert "--layer first --layer second --positions 4 --seed 0" in sentence


def test_other_photos_are_one_sentence(atlas, tmp_path):
    others = small_photos(tmp_path / "others", 60)
    for path in sorted(others.iterdir()):
        path.rename(path.with_name(f"other-{path.name}"))
    other = small_build(others, tmp_path / "atlas")
    with pytest.raises(UsageError, match="0 of 30 and 60 photos are in both; build both from the same photos"):
        match_rows(atlas.layer("second"), other.layer("second"))


def test_an_atlas_and_itself_differ_nowhere(atlas, again, tmp_path, capsys):
    out = tmp_path / "compared"
    asked = ["compare", str(atlas.folder), str(again.folder), "--out", str(out), "--grid", "3", "--no-icons", "--json"]
    assert cli.main(asked) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["counts"]["vanishing"] == value["counts"]["appearing"] == value["counts"]["other_top_class"] == 0
    assert value["overlap"] == 1 and value["kept"] == [1, 1] and value["cka"]["value"] == pytest.approx(1)
    assert not any(cell["change"] for cell in value["cells"])


def test_a_comparison_is_an_atlas_that_verifies_and_shows_both_sides(atlas, again, tmp_path):
    made = actatlas.compare(
        atlas, again, layer="first", other_layer="second", out=tmp_path / "both", grid=3, icons=False, progress=False
    )
    schemas = {"comparison": "comparison.json", "plan": "plan.json"}
    for schema, name in schemas.items():
        value = json.loads((made.folder / name).read_text())
        jsonschema.validate(value, json.loads((SCHEMAS / f"{schema}.json").read_text()))
    opened = actatlas.open(made.folder)
    assert opened.is_finished and opened.files.verify() > 10 and opened.shows_photos
    assert opened.layer_names == ["first: first", "second: second"]
    one, other = (opened.layer(name).grid(3) for name in opened.layer_names)
    assert np.array_equal(one.coordinates, other.coordinates) and np.array_equal(one.counts, other.counts)
    assert not np.array_equal(one.means, other.means)
    rows = opened.layer("second: second").activations
    original = again.layer("second").activations
    assert np.array_equal(rows.vectors, original.vectors) and np.array_equal(rows.image_ids, original.image_ids)
    assert len(made.table()) == len(one) and made.picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(NetworkError, match="compares two networks; ask either alone"):
        _ = opened.network


def test_the_same_command_gives_the_same_bytes_and_touches_neither_atlas(atlas, again, tmp_path):
    before = [(one.folder / "manifest.json").read_bytes() for one in (atlas, again)]
    how = {"out": tmp_path / "both", "grid": 3, "icons": False, "progress": False}
    first = actatlas.compare(atlas, again, **how)
    manifest = (first.folder / "manifest.json").read_bytes()
    assert (actatlas.compare(atlas, again, **how).folder / "manifest.json").read_bytes() == manifest
    assert [(one.folder / "manifest.json").read_bytes() for one in (atlas, again)] == before


def test_an_atlas_is_never_written_over(atlas, again):
    before = (again.folder / "manifest.json").read_bytes()
    with pytest.raises(FolderTaken, match="is an atlas; choose another --out"):
        actatlas.compare(atlas, again, out=again.folder, grid=3, icons=False, progress=False)
    assert (again.folder / "manifest.json").read_bytes() == before


def test_each_networks_own_icons_are_painted(atlas, again, tmp_path):
    made = actatlas.compare(
        atlas, again, out=tmp_path / "both", grid=2, model=small_network(), other_model=small_network(),
        progress=False,
    )  # fmt: skip
    opened = actatlas.open(made.folder)
    assert not opened.shows_photos and opened.layer("first: second").grid(2).is_painted.all()


def test_the_picture_marks_the_same_cells_on_both_maps(atlas, again, tmp_path):
    """Marks are put on a comparison of an atlas with itself, which has none of its own."""
    one, other, _ = choose_layers(atlas, again)
    found = compare_layers(one, other, ComparisonSettings(grid=3), Silent())
    made = keep_comparison(found, tmp_path / "both", None, None, Silent())
    grids = tuple(actatlas.open(made.folder).layer(name).grid(3) for name in layer_names(found))
    changes = [None] * len(grids[0])
    changes[0], changes[1], changes[-1] = "vanishes", "appears", "class"
    none = np.zeros(len(changes))
    marked, bare = (
        np.asarray(draw_comparison(grids, replace(found.shared, vanishing=none, appearing=none, changes=these), 40))
        for these in (changes, [None] * len(changes))
    )
    left = marked.shape[1] // 2
    for k, change in ((0, "vanishes"), (1, "appears"), (len(changes) - 1, "class")):
        is_there = (marked == COLOURS[change]).all(axis=-1) & (bare != COLOURS[change]).any(axis=-1)
        rows, columns = np.nonzero(is_there[: 52 + 120])
        assert len(rows) and {c // 40 for c in columns[columns < left] - 16} == {grids[0].coordinates[k, 0]}
        assert {(r - 52) // 40 for r in rows} == {grids[0].coordinates[k, 1]}
        assert {c // 40 for c in columns[columns >= left] - 16 - 120 - 16} == {grids[0].coordinates[k, 0]}
