"""How far an atlas can be trusted: each figure against one worked out by hand."""

import json

import numpy as np
import pytest

from actatlas import cli
from actatlas.errors import UnfinishedAtlas
from actatlas.progress import Silent
from actatlas.report import as_text, report
from actatlas.store import paths
from actatlas.testing import fake_atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    return fake_atlas(tmp_path_factory.mktemp("report") / "atlas", layers=2, sides=(6,))


def changed(atlas, side=6, **arrays):
    """The first layer's grid with other arrays, as cells.safetensors has them."""
    layer = atlas.layer(atlas.layer_names[0])
    path = paths.cells(layer.home, side)
    atlas.files.write_arrays(path, atlas.files.read_arrays(path) | arrays)
    return type(atlas)(atlas.files).layer(layer.name).grid(side)


def test_icons_and_cells_are_summed_up_and_the_worst_come_first(atlas):
    figures = report(atlas, seeds=0, progress=Silent())
    assert list(figures["layers"]) == atlas.layer_names
    for name, layer in figures["layers"].items():
        grid, found = atlas.layer(name).grid(6), layer["grids"]["6"]
        assert found["cells"] == len(grid)
        assert found["identified"] == pytest.approx((grid.rank == 0).mean(), abs=1e-4)
        assert found["cosine"] == pytest.approx(grid.cosine.mean(), abs=1e-4)
        cosines = [worst["cosine"] for worst in found["worst"]]
        assert cosines == sorted(cosines) and cosines[0] == pytest.approx(grid.cosine.min(), abs=1e-4)
        assert found["failing"] == int((grid.cosine < grid.cohesion).sum())
        assert layer["stability"] is None


def test_pairs_of_one_photo_and_coverage_are_those_of_the_members(atlas):
    grid = atlas.layer(atlas.layer_names[0]).grid(6)
    ids = grid.layer.places.image_ids
    same = every = 0
    for k in range(len(grid)):
        own = ids[grid.members(k)]
        pairs = own[:, None] == own[None]
        same += pairs.sum() - len(own)
        every += pairs.size - len(own)
    found = report(atlas, seeds=0, progress=Silent())["layers"][grid.layer.name]["grids"]["6"]
    assert found["same_photo_pairs"] == pytest.approx(same / every, abs=1e-5)
    shares = [step["cells"] for step in found["coverage"]]
    assert [step["photos"] for step in found["coverage"]] == [3, 6, 12] and shares == sorted(shares)


def test_a_cell_says_when_its_icon_fails_and_when_its_members_disagree(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(6,))
    grid = atlas.layer("layer.0").grid(6)
    cohesion = np.full(len(grid), 0.5, np.float32)
    cohesion[0] = np.sqrt(1 / grid.counts[0])  # of members that have nothing in common
    cohesion[1] = 0.99  # no icon of this atlas answers as well
    grid = changed(atlas, cohesion=cohesion)
    assert grid.remarks[0] == ("members",) and grid.remarks[1] == ("icon",)
    assert not any(grid.remarks[2:])
    table = grid.table()
    assert "little in common" in table.remarks[0] and "icon" in table.remarks[1] and table.remarks[2] == ""


def test_the_shipped_kind_of_atlas_is_reported_without_what_it_does_not_carry(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(6,), photos=0)
    found = report(atlas, seeds=1, progress=Silent())["layers"]["layer.0"]
    assert found["stability"] is None
    assert found["grids"]["6"]["coverage"] is None and found["grids"]["6"]["same_photo_pairs"] is None
    assert any("identified" in line for line in as_text({"layers": {"layer.0": found}}))


def test_labels_are_held_against_what_the_network_predicts_for_the_photos(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(6,))
    atlas.files.forget("predictions/")
    grid = atlas.layer("layer.0").grid(6)
    assert report(atlas, seeds=0, progress=Silent())["layers"]["layer.0"]["grids"]["6"]["labels"] is None, (
        "no predictions"
    )
    photos = np.unique(grid.layer.places.image_ids)
    predicted = (photos * 7 % len(atlas.labels)).astype(np.int32)
    arrays = {"crop_image_ids": photos, "classes": np.stack([predicted, predicted + 1], axis=1)}
    atlas.files.write_arrays(paths.predictions(0), arrays)
    atlas = type(atlas)(atlas.files)
    grid = atlas.layer("layer.0").grid(6)
    labels = grid.top_classes(1)[0][:, 0]
    seen = [
        {int(predicted[photos == i][0]) for i in grid.layer.places.image_ids[grid.members(k)]} for k in range(len(grid))
    ]
    found = report(atlas, seeds=0, progress=Silent())["layers"]["layer.0"]
    held = found["grids"]["6"]["labels"]
    assert held["held"] == pytest.approx(np.mean([c in s for c, s in zip(labels, seen, strict=True)]), abs=1e-4)
    assert held["by_chance"] == pytest.approx(np.mean([[c in s for c in labels] for s in seen]), abs=1e-4)
    assert any("name what the network sees" in line for line in as_text({"layers": {"layer.0": found}}))


def test_a_grid_without_cells_is_reported_as_such(tmp_path):
    atlas = fake_atlas(tmp_path / "atlas", layers=1, sides=(6,))
    path = paths.cells(paths.home("layer.0"), 6)
    stored = atlas.files.read_arrays(path)
    empty = {name: value[:1] if name == "member_offsets" else value[:0] for name, value in stored.items()}
    atlas.files.write_arrays(path, empty)
    atlas.files.forget(paths.icon_chunks(paths.home("layer.0"), 6))
    figures = report(type(atlas)(atlas.files), seeds=0, progress=Silent())
    found = figures["layers"]["layer.0"]["grids"]["6"]
    assert found["cells"] == 0 and found["cosine"] is None and found["coverage"] is None
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert list(as_text(figures))[1] == "  6 × 6: 0 cells"


def test_an_atlas_that_still_grows_is_not_reported(tmp_path):
    with pytest.raises(UnfinishedAtlas, match="continues"):
        report(fake_atlas(tmp_path / "atlas", layers=1, sides=(6,), painted=0.5), seeds=0, progress=Silent())


def test_the_command_prints_one_json_object(atlas, capsys):
    assert cli.main(["report", str(atlas.folder), "--seeds", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["atlas"] == str(atlas.folder)
    assert cli.main(["report", str(atlas.folder), "--seeds", "x"]) == 2
