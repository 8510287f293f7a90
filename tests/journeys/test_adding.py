"""Photos and layers added to an atlas: what was collected stays, maps of layers that are there keep their places."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import actatlas
from actatlas.cli import main
from actatlas.errors import NetworkError, PlanChanged, UsageError
from actatlas.images import read_photo
from actatlas.progress import Silent
from actatlas.store import AtlasFolder

FIRST, ADDED = "blocks.9.expanded", "blocks.4.expanded"
SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


def build(photos, out, network, **changes):
    settings = {
        "layers": [FIRST], "grids": [3], "crops": 2, "positions": 3, "precision": "float32", "progress": False,
        "draft": True, "icon_px": 40,
    }  # fmt: skip
    return actatlas.build(photos, out=out, model=network, **(settings | changes))


def files_of(atlas, *parts):
    """{path: bytes} of the atlas's files that hold one of these in their path."""
    found = (path for path in atlas.folder.rglob("*.safetensors") if any(part in str(path) for part in parts))
    return {path.relative_to(atlas.folder).as_posix(): path.read_bytes() for path in found}


class StopAt(Silent):
    """Ctrl-C where the stage of this title begins."""

    def __init__(self, title):
        self._title = title

    def stage(self, title, total, unit="", work=None):
        if title.startswith(self._title):
            raise KeyboardInterrupt
        return super().stage(title, total, unit)


@pytest.fixture(scope="module")
def lots(drawn_photos, tmp_path_factory):
    """Two folders: 16 drawn pictures, and 8 others."""
    folder = tmp_path_factory.mktemp("lots")
    for number, path in enumerate(sorted(drawn_photos.iterdir())):
        target = folder / ("first" if number < 16 else "second")
        target.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return folder / "first", folder / "second"


@pytest.fixture(scope="module")
def small(lots, network, tmp_path_factory):
    return build(lots[0], tmp_path_factory.mktemp("small") / "atlas", network).folder


@pytest.fixture
def atlas(small, tmp_path):
    """A copy of an atlas of 16 photos and one layer, to add to."""
    return Path(shutil.copytree(small, tmp_path / "atlas"))


def test_a_layer_that_is_added_leaves_maps_and_icons_as_they_are(atlas, lots, network):
    before = files_of(actatlas.open(atlas), "layers/", "places/", "predictions/")
    grown = build(lots[0], atlas, network, layers=[ADDED], add=True)
    assert grown.layer_names == [ADDED, FIRST]  # in forward order
    after = files_of(grown, "layers/", "places/", "predictions/")
    assert {path: after[path] for path in before} == before
    layer = grown.layer(ADDED)
    assert layer.activation_count == grown.layer(FIRST).activation_count == 16 * 2 * 3
    assert (
        len(layer.grid(3)) > 0
        and np.isfinite([layer.grid(3).cell(k).icon.cosine for k in range(len(layer.grid(3)))]).all()
    )
    assert grown.files.verify() > len(before)


def test_a_layer_that_is_added_answers_at_the_places_of_the_others(atlas, lots, network, tmp_path):
    """As in an atlas that had both from the start: of these two maps the coarser one is there already."""
    grown = build(lots[0], atlas, network, layers=[ADDED], add=True)
    whole = build(lots[0], tmp_path / "whole", network, layers=[ADDED, FIRST])
    for name in (ADDED, FIRST):
        ours, theirs = (next(each.layer(name).read_shards(attributions=True)) for each in (grown, whole))
        assert np.array_equal(ours.image_ids, theirs.image_ids)
        assert np.array_equal(ours.positions, theirs.positions)
        np.testing.assert_allclose(ours.vectors.astype(np.float32), theirs.vectors.astype(np.float32), atol=0.02)
        np.testing.assert_allclose(ours.attributions.astype(float), theirs.attributions.astype(float), atol=0.02)


def test_photos_that_are_added_come_behind_those_that_are_there(atlas, lots, network):
    before = files_of(actatlas.open(atlas), "activations/", "places/", "predictions/")
    grown = build(lots[1], atlas, network, add=True)
    after = files_of(grown, "activations/", "places/", "predictions/")
    assert {path: after[path] for path in before} == before and len(after) > len(before)
    assert grown.image_counts == {"listed": 24, "used": 24, "skipped": 0}
    assert [Path(path).parent.name for path in grown.images["path"]] == ["first"] * 16 + ["second"] * 8
    ids = grown.layer(FIRST).places.image_ids
    assert set(ids[:96]) == set(range(16)) and set(ids[96:]) == set(range(16, 24))
    grid = grown.layer(FIRST).grid(3)
    members = np.concatenate([grid.members(k) for k in range(len(grid))])
    assert (members >= 96).any()  # the map is of all
    assert {record.path for record in grown.source.records} == set(grown.images["path"])


@pytest.mark.parametrize("stage", ["Measuring", "Collecting", "layout", "Painting"])
def test_adding_that_is_stopped_goes_on_to_the_same_bytes(small, lots, network, tmp_path, stage):
    what = {"layers": [ADDED], "add": True}
    whole, stopped = (Path(shutil.copytree(small, tmp_path / name)) for name in ("whole", "stopped"))
    grown = build(lots[1], whole, network, **what)
    with pytest.raises(KeyboardInterrupt):
        build(lots[1], stopped, network, **what, progress=StopAt(stage))
    assert not actatlas.open(stopped).is_finished
    build(lots[1], stopped, network, **what)
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (grown.folder, stopped)]
    assert manifests[0] == manifests[1]


def test_layers_then_photos_then_the_same_command_without_add(atlas, lots, network):
    build(lots[0], atlas, network, layers=[ADDED], add=True)
    grown = build(lots[1], atlas, network, layers=[], grids=[4], add=True)
    assert grown.layer_names == [ADDED, FIRST]
    assert [layer.grid_sides for layer in map(grown.layer, grown.layer_names)] == [[3, 4], [3, 4]]
    counts = [len(part) for part in grown.layer(ADDED).read_shards()]
    assert counts == [96, 48]  # a shard is of one lot
    manifest = (atlas / "manifest.json").read_bytes()
    assert build(lots[0], atlas, network, layers=[]).layer_names == [ADDED, FIRST]
    assert (atlas / "manifest.json").read_bytes() == manifest
    for name in ("plan", "pilot"):
        jsonschema.validate(
            json.loads((atlas / f"{name}.json").read_text()), json.loads((SCHEMAS / f"{name}.json").read_text())
        )


def test_the_same_photos_by_another_list_add_nothing(atlas, lots, network):
    manifest = (atlas / "manifest.json").read_bytes()
    build(sorted(lots[0].iterdir(), reverse=True), atlas, network, add=True)
    assert (atlas / "manifest.json").read_bytes() == manifest


def test_stopped_before_the_plan_grows_the_old_command_still_gives_the_old_atlas(atlas, lots, network, monkeypatch):
    manifest = (atlas / "manifest.json").read_bytes()

    def stop(files, prefix):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(AtlasFolder, "forget", stop)
        build(lots[1], atlas, network, add=True)
    assert len(pd.read_csv(atlas / "images.csv")) == 24
    build(lots[0], atlas, network)
    assert len(pd.read_csv(atlas / "images.csv")) == 16
    files = [json.loads(content)["files"] for content in (manifest, (atlas / "manifest.json").read_bytes())]
    assert files[0].keys() == files[1].keys()
    other = {path for path in files[0] if files[0][path] != files[1][path]}
    assert other == {"plan.json"}  # which has noted the grids


@pytest.fixture
def shards(lots):
    """The two lots, each in a tar shard of one name."""
    found = []
    for lot in lots:
        path = lot.parent / f"{lot.name}-shards" / "000.tar"
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w") as archive:
            for photo in sorted(lot.iterdir()):
                archive.add(photo, photo.name)
        found.append(path)
    return found


def test_shards_are_added_to_shards(shards, lots, network, tmp_path):
    out = tmp_path / "atlas"
    before = files_of(build(shards[0], out, network), "activations/", "places/", "predictions/")
    with pytest.raises(UsageError, match="in files of their own do not go together with"):
        build(lots[1], out, network, add=True)
    stopped = Path(shutil.copytree(out, tmp_path / "stopped"))
    grown = build(shards[1], out, network, add=True)
    after = files_of(grown, "activations/", "places/", "predictions/")
    assert {path: after[path] for path in before} == before and len(after) > len(before)
    assert grown.image_counts == {"listed": 24, "used": 24, "skipped": 0}
    assert [path.startswith("000.tar/") for path in grown.images["path"]] == [True] * 24
    assert len(set(grown.images["path"])) == 24
    ids = grown.layer(FIRST).places.image_ids
    assert set(ids[:96]) == set(range(16)) and set(ids[96:]) == set(range(16, 24))
    photos = [*sorted(lots[0].iterdir()), *sorted(lots[1].iterdir())]
    for reopened in (grown, actatlas.open(out)):
        assert all(np.array_equal(reopened.source.read(i), read_photo(path)) for i, path in enumerate(photos))
    with pytest.raises(KeyboardInterrupt):
        build(shards[1], stopped, network, add=True, progress=StopAt("Collecting"))
    for _ in range(2):  # the second time there is nothing left to do
        build(shards[1], stopped, network, add=True)
        assert (stopped / "manifest.json").read_bytes() == (out / "manifest.json").read_bytes()
    layered = build(shards[0], out, network, layers=[ADDED], add=True)
    assert layered.layer(ADDED).activation_count == 24 * 2 * 3


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_folder_with_further_shards_behind_its_own_is_added_to(shards, lots, network, tmp_path, kind):
    """The same photos come out as where the second shard has a name of its own, to the same activations."""
    files = shards if kind == "tar" else [in_parquet(lot, lot.parent / f"{lot.name}.parquet") for lot in lots]
    (folder := tmp_path / "shards").mkdir()
    shutil.copy(files[0], folder / f"000.{kind}")
    before = files_of(build(folder, tmp_path / "atlas", network), "activations/", "places/", "predictions/")
    shutil.copy(files[1], folder / f"001.{kind}")
    with pytest.raises(PlanChanged, match="add them with --add"):
        build(folder, tmp_path / "atlas", network)
    grown = build(folder, tmp_path / "atlas", network, add=True)
    after = files_of(grown, "activations/", "places/", "predictions/")
    assert {path: after[path] for path in before} == before and len(after) > len(before)
    assert grown.image_counts == {"listed": 24, "used": 24, "skipped": 0}
    for _ in range(2):  # again there is nothing to do, with --add and without
        assert build(folder, tmp_path / "atlas", network, add=True).image_counts["listed"] == 24
        assert build(folder, tmp_path / "atlas", network).image_counts["listed"] == 24
    photos = [*sorted(lots[0].iterdir()), *sorted(lots[1].iterdir())]
    reopened = actatlas.open(tmp_path / "atlas").source
    assert all(np.array_equal(reopened.read(i), read_photo(path)) for i, path in enumerate(photos))


def in_parquet(lot, path):
    photos = sorted(lot.iterdir())
    pq.write_table(pa.table({"image": [p.read_bytes() for p in photos], "path": [p.name for p in photos]}), path)
    return path


def test_shards_that_are_others_now_are_refused(shards, network, tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    shutil.copy(shards[0], folder / "001.tar")
    build(folder, tmp_path / "atlas", network)
    shutil.copy(shards[1], folder / "000.tar")  # before those that the atlas has
    with pytest.raises(PlanChanged, match="holds other photos than then; put it back"):
        build(folder, tmp_path / "atlas", network, add=True)


def test_without_add_it_is_refused_and_says_how(atlas, lots, network):
    manifest = (atlas / "manifest.json").read_bytes()
    with pytest.raises(PlanChanged, match="other photos; .* add them with --add"):
        build(lots[1], atlas, network)
    with pytest.raises(PlanChanged, match=r"other layers \(--layer\); .* add them with --add"):
        build(lots[0], atlas, network, layers=[ADDED, FIRST])
    with pytest.raises(PlanChanged, match="--crops") as refused:
        build(lots[1], atlas, network, crops=3, add=True)
    assert "--add" not in refused.value.message
    assert (atlas / "manifest.json").read_bytes() == manifest


def test_photos_that_have_changed_or_gone_are_named(lots, network, tmp_path):
    mine = Path(shutil.copytree(lots[0], tmp_path / "mine"))
    atlas = build(mine, tmp_path / "atlas", network).folder
    manifest = (atlas / "manifest.json").read_bytes()
    gone = sorted(mine.iterdir())[3]
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(PlanChanged, match=f"1 are gone, such as .*{gone.name}"):
        build(lots[1], atlas, network, add=True)
    gone.write_bytes(content[:-100] + b"\0" * 100 if len(content) < 300 else content + b"\0")
    with pytest.raises(PlanChanged, match="other content"):
        build(lots[1], atlas, network, add=True)
    assert (atlas / "manifest.json").read_bytes() == manifest


def test_what_cannot_be_added_to_says_so(lots, network, tmp_path):
    vectors = np.random.default_rng(0).random((16, 8)).astype(np.float32)
    given = actatlas.build_from_vectors(vectors, lots[0], out=tmp_path / "given", grids=[3], progress=False)
    with pytest.raises(UsageError, match="given vectors; nothing can be added"):
        build(lots[1], given.folder, network, add=True)


def test_a_photo_that_gives_no_answer_at_the_new_layer_is_named(atlas, lots, network):
    from actatlas.collect import Shard
    from actatlas.images import open_source
    from actatlas.records import answers_at

    source = open_source(lots[0])
    part = next(actatlas.open(atlas).layer(FIRST).read_shards())
    kept = part.taken(np.flatnonzero(part.image_ids != 5))
    shard = Shard({ADDED: kept}, None, {5: "it cannot be read"})
    with pytest.raises(NetworkError, match=f"{source.records[5].path} is in the atlas, and now it cannot be read"):
        answers_at(shard, part.image_ids, source)


def test_the_command_adds_and_asked_again_does_nothing(atlas, lots, capsys):
    command = [
        "build", str(lots[1]), "--out", str(atlas), "--layer", FIRST, "--grid", "3", "--crops", "2", "--positions",
        "3", "--precision", "float32", "--draft", "--icon-px", "40", "--add", "--no-open", "--json",
    ]  # fmt: skip
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"]["used"] == 24
    assert main(command) == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == told
    assert "loading" not in again.err


def test_into_a_new_folder_it_is_an_ordinary_build(lots, network, tmp_path, small):
    fresh = build(lots[0], tmp_path / "fresh", network, add=True)
    assert (fresh.folder / "manifest.json").read_bytes() == (small / "manifest.json").read_bytes()
