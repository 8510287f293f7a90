"""Atlases of one class, of two, of a channel and of a direction, from a finished atlas: against what it holds."""

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
from actatlas.collect import attribute
from actatlas.errors import NetworkError, TooFewImages, UnfinishedAtlas, UnknownClass, UsageError
from actatlas.preprocessing import Preprocessing
from actatlas.site.data import data_of
from actatlas.testing import fake_atlas

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
LAYERS = ["blocks.4.expanded", "blocks.9.expanded"]


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture
def folder(small_atlas):
    return small_atlas


@pytest.fixture
def atlas(folder, network, tmp_path):
    shutil.copytree(folder, tmp_path / "atlas")
    opened = actatlas.open(tmp_path / "atlas")
    opened.network = network
    return opened


def test_a_class_atlas_holds_what_speaks_for_the_class(atlas):
    made = atlas.class_atlas("red fox", grid=3, most=100)
    layer, index = atlas.layer(LAYERS[1]), 277
    values = layer.attributions[:, index].astype(np.float32)
    strongest = (layer.attributions - layer.attribution_mean).argmax(axis=1) == index
    expected = set(np.argsort(-values, kind="stable")[:100].tolist()) | set(np.flatnonzero(strongest).tolist())
    expected = sorted(row for row in expected if values[row] > 0)
    assert made.rows.tolist() == expected and np.allclose(made.scores, values[expected])
    assert made.coverage == pytest.approx(values[expected].sum() / np.maximum(values, 0).sum(), rel=1e-3)
    assert made.layer.name == LAYERS[1] and made.subject == "red fox" and made.activation_count == len(expected)
    assert made.image_count == len(set(layer.places.image_ids[expected]))

    assert np.array_equal(made.activations.vectors, layer.activations.vectors[expected])
    assert np.array_equal(made.places.image_ids, layer.places.image_ids[expected])
    grid = made.grid(3)
    square = np.minimum(np.floor(made.layout * 3), 2)
    for k in range(len(grid)):
        members = grid.members(k)
        assert (square[members] == grid.coordinates[k]).all() and len(grid.photos(k)) >= 1
        assert np.allclose(grid.means[k], made.activations.vectors[members].astype(np.float64).mean(axis=0), atol=1e-3)
        assert np.allclose(grid.attributions[k], layer.attributions[made.rows[members]].mean(axis=0), atol=5e-3)
    assert grid.is_painted.all() and grid.icons.std() > 10
    assert (grid.rank == 0).mean() > 0.5
    assert grid.examples(0, 3)[0].size == (layer.patch_px, layer.patch_px)
    rows = made.rows_of_layer(grid.nearest_rows(0, 3))
    assert set(layer.places.image_ids[rows]) <= set(grid.photos(0))


def test_cells_of_single_photos_can_be_left_out(atlas):
    strict = atlas.class_atlas("red fox", grid=6, most=100, min_images=3).grid(6).image_counts
    loose = atlas.class_atlas("red fox", grid=6, most=100).grid(6).image_counts
    assert strict.min() >= 3 > loose.min() and len(loose) > len(strict)


def test_it_is_kept_and_the_atlas_stays_finished(atlas):
    files_before = atlas.files.verify()
    made = atlas.class_atlas("tench", layer=LAYERS[0], grid=2)
    assert (made.folder / "chosen.json").is_file()
    again = actatlas.open(atlas.folder)
    assert again.is_finished and again.files.verify() > files_before
    assert [(c.layer.name, c.subject) for c in again.class_atlases] == [(LAYERS[0], "tench")]
    kept = again.class_atlases[0]
    assert kept.rows.tolist() == made.rows.tolist() and np.array_equal(kept.grid(2).icons, made.grid(2).icons)
    times = {p: p.stat().st_mtime_ns for p in made.folder.rglob("*") if p.is_file()}
    atlas.class_atlas("tench", layer=LAYERS[0], grid=2)
    assert {p: p.stat().st_mtime_ns for p in times} == times, "made already"
    other = atlas.class_atlas("tench", layer=LAYERS[0], grid=3)
    assert other.grid_sides == [3], "another grid takes its place"


def test_the_same_seed_gives_the_same_bytes(folder, network, tmp_path):
    made = []
    for name in ("one", "other"):
        shutil.copytree(folder, tmp_path / name)
        atlas = actatlas.open(tmp_path / name)
        atlas.network = network
        made.append(atlas.class_atlas(0, grid=2).folder)
    names = [sorted(p.relative_to(f) for p in f.rglob("*") if p.is_file()) for f in made]
    assert names[0] == names[1] and len(names[0]) == 5
    assert all((made[0] / name).read_bytes() == (made[1] / name).read_bytes() for name in names[0])


def test_a_build_that_is_run_again_keeps_class_atlases(atlas, drawn_photos, network):
    atlas.class_atlas(5, grid=2)
    actatlas.build(
        drawn_photos, out=atlas.folder, model=network, layers=LAYERS, grids=[4], crops=3, positions=4, draft=True,
        icon_px=40, precision="float32", progress=False,
    )  # fmt: skip
    again = actatlas.open(atlas.folder)
    assert len(again.class_atlases) == 1 and again.files.verify()


def test_two_classes_lie_at_either_end(atlas):
    made = atlas.compare(3, 900, grid=4, most=160)
    layer = atlas.layer(LAYERS[1])
    difference = (layer.attributions[:, 900].astype(np.float32) - layer.attributions[:, 3])[made.rows]
    assert np.allclose(made.scores, difference, atol=1e-6)
    left, right = made.layout[:, 0] < 0.45, made.layout[:, 0] > 0.55
    assert left.any() and right.any() and made.scores[left].max() < made.scores[right].min()
    assert np.ptp(made.layout[:, 1]) == pytest.approx(1, abs=0.01), "the other axis is filled"
    table = made.table()
    assert (np.diff(table["score"].abs()) <= 1e-6).all()
    row = table.iloc[0]
    k = made.grid(4).cell_at(int(row["column"]), int(row["row"])).k
    assert row["score"] == pytest.approx(difference[made.grid(4).members(k)].mean(), abs=1e-5)
    plan, named = made.grid(4).picture(), made.picture()
    assert named.height > plan.height and np.array_equal(np.asarray(named)[-14 - plan.height : -14, 14:-14], plan)
    with pytest.raises(UsageError, match="name two classes"):
        atlas.compare("tench", 0)


def test_a_channel_and_a_direction_have_atlases_too(atlas):
    layer = atlas.layer(LAYERS[0])
    vectors = layer.activations.vectors.astype(np.float32)
    channel = atlas.channel_atlas(7, LAYERS[0], 2, most=60)
    assert channel.subject == "channel 7"
    assert set(channel.rows) == set(np.argsort(-vectors[:, 7], kind="stable")[:60])
    direction = layer.grid(4).means[0] - layer.mean
    along = atlas.direction_atlas(direction, LAYERS[0], 2, title="a cell", most=60)
    scores = (vectors - layer.mean) @ (direction / np.linalg.norm(direction))
    assert set(along.rows) == set(np.argsort(-scores, kind="stable")[:60]) and along.labelled_count is None
    assert len(actatlas.open(atlas.folder).class_atlases) == 2
    with pytest.raises(UsageError, match="channels 0 to"):
        atlas.channel_atlas(10_000, LAYERS[0])
    with pytest.raises(UsageError, match="finite numbers"):
        atlas.direction_atlas(np.zeros(3), LAYERS[0])


def test_t_sne_lays_out_too(atlas):
    pytest.importorskip("openTSNE")
    made = atlas.class_atlas(1, grid=2, layout="tsne", most=80)
    points = made.layout[~np.isnan(made.layout).any(axis=1)]
    assert len(points) > 70 and (points.std(axis=0) > 0.1).all()
    assert not np.allclose(atlas.class_atlas(1, grid=2, most=80).layout, made.layout, equal_nan=True)


def test_following_a_class_ranks_the_cells_of_every_layer(atlas):
    table = atlas.follow("red fox")
    assert table.layer.unique().tolist() == LAYERS
    for name in LAYERS:
        grid, rows = atlas.layer(name).grid(4), table[table.layer == name]
        assert rows.attribution.tolist() == sorted(grid.attributions[:, 277].tolist(), reverse=True)
        assert len(rows) == len(grid)
    assert table.deviations.abs().max() < 10


def test_what_cannot_be_is_told_in_one_sentence(atlas, tmp_path):
    with pytest.raises(UnknownClass, match="fox"):
        atlas.class_atlas("fox")
    with pytest.raises(TooFewImages, match="crops"):
        atlas.class_atlas("red fox", grid=64, most=5)
    shipped = fake_atlas(tmp_path / "fake", layers=1, sides=(6,), photos=0)
    with pytest.raises(UnfinishedAtlas, match="carries no activations"):
        actatlas.open(shipped.folder).class_atlas(0)


def test_the_command_gives_the_contracts_json_and_a_picture(atlas, capsys, tmp_path):
    picture = tmp_path / "fox.png"
    assert cli.main(["class", str(atlas.folder), "n02119022", "--grid", "2", "-o", str(picture), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    told = (atlas.folder / "site" / "atlas.js").read_text()
    assert '"red fox' in told, "the page has it"
    assert {"class", "layer", "activations", "images", "coverage", "cells", "atlas", "picture"} <= set(found)
    assert found["class"] == "red fox" and found["layer"] == LAYERS[1] and found["picture"] == str(picture)
    side = 2 * atlas.layer(LAYERS[1]).icon_px
    assert size_of(picture) == (side, side) and 0 < found["coverage"] <= 1
    files = {"chosen": f"layers/{LAYERS[1]}/classes/class-277/chosen.json", "synonyms": "synonyms.json"}
    for schema, path in files.items():
        value = json.loads((atlas.folder / path).read_text())
        jsonschema.validate(value, json.loads((SCHEMAS / f"{schema}.json").read_text()))

    assert cli.main(["class", str(atlas.folder), "tench", "--versus", "red fox", "--grid", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["class"] == "tench versus red fox" and found["told_apart"]
    assert size_of(found["picture"])[0] > 100
    assert cli.main(["site", str(atlas.folder), "-o", str(tmp_path / "site")]) == 0
    value = json.loads(data_of((tmp_path / "site" / "atlas.js").read_bytes()))
    jsonschema.validate(value, json.loads((SCHEMAS / "site-atlas.json").read_text()))
    ends = {layer["name"].partition(" · ")[0]: layer["ends"] for layer in value["layers"] if "ends" in layer}
    assert ends == {"tench versus red fox": [0, 277]}, "what lies to the left, and what to the right"
    capsys.readouterr()
    assert actatlas.open(atlas.folder).files.verify()
    assert cli.main(["class", str(atlas.folder), "no such class"]) == 2
    assert "no class is called" in capsys.readouterr().err


def test_the_next_site_shows_it(atlas, tmp_path, capsys):
    atlas.class_atlas("red fox", grid=2)
    assert cli.main(["site", str(atlas.folder), "-o", str(tmp_path / "site")]) == 0
    written = (tmp_path / "site" / "atlas.js").read_text()
    value = json.loads(written[written.index(",") + 1 : written.rindex(")")])
    assert [(layer["name"], layer["of"]) for layer in value["layers"]][2:] == [
        ("red fox \u00b7 blocks.9.expanded", LAYERS[1])
    ]
    assert (tmp_path / "site" / "layers" / value["layers"][2]["slug"] / "2" / "cells.js").is_file()
    assert "red fox" not in (atlas.folder / "site" / "atlas.js").read_text().partition('"layers"')[2]
    assert cli.main(["site", str(atlas.folder)]) == 0
    assert "red fox" in (atlas.folder / "site" / "atlas.js").read_text().partition('"layers"')[2]
    assert actatlas.open(atlas.folder).files.verify(), "and the atlas is finished again"


def test_a_function_of_the_outputs_stands_in_for_classes(drawn_photos, network, tmp_path):
    """Here: likeness of an embedding to two prompts."""
    prompts = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    labels = ["like the first", "like the second"]
    read = actatlas.load_network(network, labels=labels, outputs=lambda given: given @ prompts.T)
    assert network.class_count == 1000 and read.class_count == 2, "the network itself stays as it is"
    atlas = actatlas.build(
        drawn_photos, out=tmp_path / "atlas", model=read, layers=[LAYERS[1]], grids=[3], positions=8, draft=True,
        icon_px=40, precision="float32", progress=False,
    )  # fmt: skip
    layer = atlas.layer(LAYERS[1])
    assert layer.attributions.shape[1] == 2 and set(layer.grid(3).table().label) <= set(labels)
    row = 11
    pixels = read.pixels(atlas.source.read(int(layer.places.image_ids[row])))
    recording = network.record(network.normalize(pixels[None]), [layer.name])
    place = torch.from_numpy(layer.places.positions[[row]])
    baseline = torch.from_numpy(layer.attribution_baseline)
    with torch.no_grad():
        lost = attribute(recording, layer.name, place, "patch-replacement", baseline, layer.attribution_window)
    assert np.allclose(layer.attributions[row], (lost @ prompts.T)[0], atol=0.05)
    assert atlas.class_atlas("second", grid=2).subject == "like the second"


def test_a_single_class_is_followed_and_has_its_atlas(drawn_photos, network, tmp_path):
    read = actatlas.load_network(network, labels=["fox-like"], outputs=lambda given: given[:, 277:278])
    atlas = actatlas.build(
        drawn_photos, out=tmp_path / "atlas", model=read, layers=[LAYERS[1]], grids=[3], positions=8, draft=True,
        icon_px=40, precision="float32", progress=False,
    )  # fmt: skip
    table = atlas.follow("fox-like")
    assert table["attribution"].is_monotonic_decreasing and set(table["label"]) == {"fox-like"}
    made = atlas.class_atlas(0, grid=2)
    assert made.coverage == pytest.approx(1) and (made.scores > 0).all()
    with pytest.raises(UsageError, match="name two classes"):
        atlas.compare(0, "fox-like")


def test_a_network_without_classes_has_channels_and_directions(drawn_photos, tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    network = actatlas.load_network(module, preprocessing=Preprocessing(input_px=(64, 64), resize_px=64))
    atlas = actatlas.build(
        drawn_photos, out=tmp_path / "atlas", model=network, layers=["1"], grids=[3], positions=6, draft=True,
        icon_px=24, precision="float32", progress=False,
    )  # fmt: skip
    with pytest.raises(NetworkError, match="has no classes"):
        atlas.class_atlas("red fox")
    strongest = int(atlas.layer("1").activations.vectors.std(axis=0).argmax())
    assert atlas.channel_atlas(strongest, grid=2).subject == f"channel {strongest}"
