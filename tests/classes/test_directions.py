"""A direction that somebody names: kept in the atlas, a lens of its page, and never lost with the maps."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

import actatlas
from actatlas import cli
from actatlas.atlas import Atlas
from actatlas.classes.directions import cell_direction
from actatlas.demo import shipped_atlas
from actatlas.errors import UsageError
from actatlas.store import AtlasFolder

EARLY, LATE = "blocks.4.expanded", "blocks.9.expanded"


@pytest.fixture
def atlas(small_atlas, tmp_path):
    folder = tmp_path / "atlas"
    shutil.copytree(small_atlas, folder)
    return actatlas.open(folder)


def site_value(atlas, key):
    text = (atlas.folder / "site" / f"{key}.js").read_text("ascii")
    return json.loads(re.fullmatch(r'actatlas\("[^"]*",(.*)\);\n', text)[1])


def test_the_page_dims_by_the_cosine_of_each_cell_with_the_direction(atlas, capsys):
    grid = atlas.layer(LATE).grid(4)
    direction = np.random.default_rng(0).normal(size=grid.means.shape[1]).astype(np.float32)
    np.save(atlas.folder.parent / "probe.npy", direction)
    command = ["direction", str(atlas.folder), "a probe", "--vector", str(atlas.folder.parent / "probe.npy"), "--json"]
    assert cli.main(command) == 0
    told = json.loads(capsys.readouterr().out)
    centred = grid.means - atlas.layer(LATE).mean
    cosines = centred @ direction / np.linalg.norm(centred, axis=1) / np.linalg.norm(direction)
    assert told["layer"] == LATE
    assert told["strongest"][0]["cell"] == grid.coordinates[cosines.argmax()].tolist()
    assert told["strongest"][0]["cosine"] == pytest.approx(cosines.max(), abs=1e-4)
    assert [layer["directions"] for layer in site_value(atlas, "atlas")["layers"]] == [[], ["a probe"]]
    block = site_value(atlas, f"layers/{LATE}/4/directions/0")
    assert block["peaks"][0] == pytest.approx(np.abs(cosines).max(), rel=0.01)
    assert actatlas.open(atlas.folder).files.verify() > 0


def test_one_of_the_same_name_is_replaced_and_the_page_follows(atlas):
    where = ["--grid", "4", "--layer", LATE]
    cells = [",".join(map(str, c)) for c in atlas.layer(LATE).grid(4).coordinates[:2].tolist()]
    assert cli.main(["direction", str(atlas.folder), "mine", "--cell", cells[0], "--minus", cells[1], *where]) == 0
    before = site_value(atlas, f"layers/{LATE}/4/directions/0")
    assert cli.main(["direction", str(atlas.folder), "mine", "--cell", cells[1], *where]) == 0
    assert site_value(atlas, f"layers/{LATE}/4/directions/0") != before
    first, second = (tuple(map(int, cell.split(","))) for cell in cells)
    kept = actatlas.open(atlas.folder).layer(LATE).kept_directions
    assert list(kept) == ["mine"]
    assert np.allclose(kept["mine"], cell_direction(atlas, LATE, second, grid=4)[0])
    assert cli.main(["direction", str(atlas.folder), "mine", "--forget"]) == 0
    assert actatlas.open(atlas.folder).layer(LATE).kept_directions == {}
    assert site_value(atlas, "atlas")["layers"][1]["directions"] == []
    assert not (atlas.folder / "site" / "layers" / LATE / "4" / "directions").is_dir() or not list(
        (atlas.folder / "site" / "layers" / LATE / "4" / "directions").iterdir()
    )
    assert first != second


def test_layers_have_their_own_under_one_name_in_the_names_order(atlas):
    counts = {name: atlas.layer(name).info.shape[0] for name in (EARLY, LATE)}
    for name in ("zebra", "ant"):
        for layer, count in counts.items():
            kept = atlas.keep_direction(name, np.arange(1, count + 1), layer)
            assert kept.kept_directions[name].tolist() == list(range(1, count + 1))
    again = Atlas(AtlasFolder.existing(atlas.folder))
    assert [list(again.layer(layer).kept_directions) for layer in counts] == [["ant", "zebra"]] * 2
    atlas.forget_direction("ant", EARLY)
    again = Atlas(AtlasFolder.existing(atlas.folder))
    assert [list(again.layer(layer).kept_directions) for layer in counts] == [["zebra"], ["ant", "zebra"]]


@pytest.mark.parametrize(
    ("name", "direction", "told"),
    [
        ("x", np.ones(7), r"\(\d+,\) numbers"),
        ("x", np.zeros(1), "all zero"),
        ("x", np.full(1, np.nan), "NaN"),
        ("", np.ones(1), "60 characters"),
        ("two\nlines", np.ones(1), "60 characters"),
        ("__metadata__", np.ones(1), "60 characters"),
        ("x" * 61, np.ones(1), "60 characters"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_nothing_changes(atlas, name, direction, told):
    count = atlas.layer(LATE).info.shape[0]
    vector = np.resize(direction, count) if len(direction) == 1 else direction
    with pytest.raises(UsageError, match=told):
        atlas.keep_direction(name, vector, LATE)
    assert not (atlas.folder / "directions").exists()
    assert atlas.is_finished


def test_an_atlas_without_means_is_told_so_before_anything_is_written(tmp_path, capsys):
    folder = tmp_path / "shipped"
    shutil.copytree(shipped_atlas().folder, folder)
    count = actatlas.open(folder).layer("blocks.15.expanded").info.shape[0]
    np.save(tmp_path / "probe.npy", np.ones(count))
    assert cli.main(["direction", str(folder), "x", "--vector", str(tmp_path / "probe.npy")]) == 7
    assert "carries no means of its cells; an atlas that you build does" in capsys.readouterr().err
    assert not (folder / "directions").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "--vector FILE or --cell"),
        (["--cell", "0,0", "--forget"], "or --forget one"),
        (["--vector", "x.npy", "--minus", "0,0"], "--minus is what is taken from --cell"),
        (["--forget"], 'has no direction "x"; it has: none'),
        (["--vector", "nowhere.npy"], "is no file; give a direction as"),
    ],
)
def test_the_command_says_what_it_needs(atlas, capsys, options, told):
    assert cli.main(["direction", str(atlas.folder), "x", *options]) == 2
    assert told in capsys.readouterr().err
