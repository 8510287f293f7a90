"""Vectors of one's own, atlas out: with nothing but photos, and with the network that gave them."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import actatlas
from actatlas.cli import main
from actatlas.errors import BadVectors, NetworkError, UsageError
from actatlas.progress import Silent
from actatlas.report import as_text, report

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
LAYER = "blocks.9.expanded"


def colours(photos):
    """(N, 12) the mean colours of each photo's quarters: an embedding that anyone can check by eye."""
    small = [np.asarray(Image.open(path).convert("RGB").resize((2, 2)), float).ravel() / 255 for path in photos]
    return np.array(small)


@pytest.fixture(scope="module")
def table(drawn_photos):
    paths = [str(path) for path in sorted(drawn_photos.iterdir())]
    vectors = colours(paths)
    brightness = vectors.mean(axis=1)
    side = np.where(brightness > np.median(brightness), "light", "dark")
    return pd.DataFrame({"path": paths, "embedding": list(vectors), "cluster": side, "kind": ["a", "b"] * 12})


@pytest.fixture(scope="module")
def atlas(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("vectors") / "atlas"
    return actatlas.build_from_vectors(table, out=out, grids=[3], progress=False)


def test_a_cell_shows_the_photo_nearest_its_mean(atlas, table):
    grid = atlas.layer("vectors").grid(3)
    vectors = np.stack(table["embedding"]).astype(np.float16).astype(np.float32)
    centred = vectors - vectors.mean(axis=0)
    for k in range(len(grid)):
        mean = grid.means[k] - vectors.mean(axis=0)
        own = centred[grid.members(k)] @ mean / np.linalg.norm(centred[grid.members(k)], axis=1)
        best = grid.members(k)[np.argmax(own)]
        assert grid.cosine[k] == pytest.approx(own.max() / np.linalg.norm(mean), abs=1e-3)
        photo = Image.open(table["path"][best]).convert("RGB")
        shown = Image.fromarray(grid.icons[k]).resize((2, 2))
        side = min(photo.size)
        box = ((photo.width - side) // 2, (photo.height - side) // 2)
        middle = photo.crop((*box, box[0] + side, box[1] + side)).resize((2, 2))
        assert np.abs(np.asarray(shown, float) - np.asarray(middle, float)).mean() < 12
    assert len(grid) >= 2


def test_its_columns_and_regions_are_there(atlas, table):
    grid = atlas.layer("vectors").grid(3)
    of_photo = table["cluster"].to_numpy()
    for k, region in enumerate(grid.table()["region"]):
        mine = of_photo[grid.members(k)]
        assert (mine == region).mean() >= 0.5
    assert "kind" in atlas.image_columns and atlas.labels is None


def test_its_files_and_page_are_what_the_schemas_say(atlas):
    for name, schema in (
        ("plan.json", "plan.json"),
        ("pilot.json", "pilot.json"),
        ("layers/vectors/regions.json", "regions.json"),
    ):
        value = json.loads((atlas.folder / name).read_text())
        jsonschema.validate(value, json.loads((SCHEMAS / schema).read_text()))
    text = (atlas.folder / "site" / "atlas.js").read_text()
    value = json.loads(text[text.index("{") : text.rindex("}") + 1])
    jsonschema.validate(value, json.loads((SCHEMAS / "site-atlas.json").read_text()))
    assert value["pictures"] == "photos" and value["is_finished"]
    assert atlas.files.verify() > 0


def test_a_report_says_photos_and_what_needs_a_network_is_refused(atlas):
    figures = report(actatlas.open(atlas.folder), 0, Silent())
    assert any(line.startswith("    photos   cosine") for line in as_text(figures))
    json.dumps(figures, allow_nan=False)
    with pytest.raises(NetworkError, match="vectors that came without their network"):
        atlas.layer("vectors").grid(3).cell(0).render(steps=2)
    with pytest.raises(UsageError, match="its cells' pictures are photos"):
        from actatlas.site import SiteSettings, single_file

        single_file(atlas, SiteSettings("none"), Silent())


def test_the_command_takes_a_file_and_a_layout_and_continues(table, tmp_path, capsys):
    np.savez(tmp_path / "v.npz", vectors=np.stack(table["embedding"]), path=table["path"].to_numpy(str))
    angle = np.linspace(0, 2 * np.pi, len(table))
    pd.DataFrame({"x": 5 * np.cos(angle), "y": 5 * np.sin(angle)}).to_csv(tmp_path / "xy.csv", index=False)
    command = ["build", "--vectors", str(tmp_path / "v.npz"), "--layout-points", str(tmp_path / "xy.csv")]
    command += ["--out", str(tmp_path / "atlas"), "--grid", "2", "--json"]
    for _ in range(2):
        assert main(command) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["layers"]["vectors"]["activations"] == len(table)
    points = actatlas.open(tmp_path / "atlas").layer("vectors").layout
    radius = np.linalg.norm(points - 0.5, axis=1)
    assert radius.std() < 0.01 and radius.mean() > 0.45, "a circle stays one"


def test_the_command_lays_vectors_out_as_it_is_told(table, tmp_path, capsys):
    np.savez(tmp_path / "v.npz", vectors=np.stack(table["embedding"]), path=table["path"].to_numpy(str))
    command = ["build", "--vectors", str(tmp_path / "v.npz"), "--out", str(tmp_path / "atlas"), "--grid", "2"]
    assert main([*command, "--layout", "landmarks", "--no-open"]) == 0
    assert actatlas.open(tmp_path / "atlas").plan["settings"]["layout"]["method"] == "landmarks"
    assert main([*command, "--layout", "tsne", "--layout-points", "xy.csv"]) == 2
    assert "--layout beside --layout-points does not go with --vectors" in capsys.readouterr().err


def test_a_photo_that_cannot_be_read_is_skipped_with_its_rows(table, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with_broken = table.copy()
    with_broken.loc[3, "path"] = str(broken)
    made = actatlas.build_from_vectors(with_broken, out=tmp_path / "atlas", grids=[2], progress=False)
    layer = made.layer("vectors")
    assert made.image_counts == {"listed": 24, "used": 23, "skipped": 1} and layer.activation_count == 23
    assert len(layer.regions) == 23 and 3 not in layer.activations.image_ids


@pytest.fixture(scope="module")
def of_network(network, small_atlas):
    """Vectors that the packaged network gave, as somebody would have kept them."""
    layer = actatlas.open(small_atlas).layer(LAYER)
    kept = layer.activations
    photos = actatlas.open(small_atlas).images["path"].to_numpy(str)
    return {
        "vectors": kept.vectors, "path": photos[kept.image_ids], "positions": kept.positions, "boxes": kept.boxes
    }  # fmt: skip


def test_with_their_network_icons_are_painted(of_network, network, tmp_path):
    made = actatlas.build_from_vectors(
        of_network, out=tmp_path / "atlas", model=network, layer=LAYER, grids=[3], icon_px=48, draft=True,
        progress=False,
    )  # fmt: skip
    grid = made.layer(LAYER).grid(3)
    answers = actatlas.measure_icons(network, LAYER, grid.icons)
    centred = answers - made.layer(LAYER).mean
    mean = grid.means - made.layer(LAYER).mean
    cosine = np.einsum("kc,kc->k", centred, mean) / np.linalg.norm(centred, axis=1) / np.linalg.norm(mean, axis=1)
    np.testing.assert_allclose(cosine, grid.cosine, atol=0.02)
    assert np.mean(grid.rank == 0) > 0.7 and not made.shows_photos


def test_vectors_of_another_layer_are_noticed(of_network, network, tmp_path):
    shuffled = of_network | {"vectors": np.random.default_rng(0).permutation(of_network["vectors"], axis=1)}
    how = {"out": tmp_path / "atlas", "model": network, "progress": False}
    with pytest.raises(BadVectors, match="is not what .* gives: on 16 photos the median cosine is"):
        actatlas.build_from_vectors(shuffled, layer=LAYER, **how)
    with pytest.raises(BadVectors, match="480 numbers|numbers and blocks.4.expanded"):
        actatlas.build_from_vectors(of_network, layer="blocks.4.expanded", **how)
    bare = {name: of_network[name] for name in ("vectors", "path")}
    with pytest.raises(BadVectors, match="does not say which a row is of"):
        actatlas.build_from_vectors(bare, layer=LAYER, **how)
    with pytest.raises(UsageError, match="both: the model and the layer"):
        actatlas.build_from_vectors(of_network, **how)
    assert not (tmp_path / "atlas").exists(), "refused before anything is written"


def test_what_does_not_go_together_is_said(tmp_path, capsys):
    out = ["--out", str(tmp_path / "atlas")]
    for arguments, told in (
        (["build", *out], "build needs IMAGES"),
        (["build", "photos", "--regions", "kind", *out], "--regions goes with --vectors"),
        (["build", "--vectors", "v.npz", "--crops", "2", *out], "--crops does not go with --vectors"),
        (["build", "--vectors", str(tmp_path / "v.npz"), *out], "is no file"),
    ):
        assert main(arguments) == 2
        assert told in capsys.readouterr().err


def test_a_grid_too_fine_for_the_photos_is_empty_and_warns_of_nothing(table, tmp_path):
    made = actatlas.build_from_vectors(table, out=tmp_path / "atlas", grids=[2, 60], progress=False)
    fine = made.layer("vectors").grid(60)
    assert len(fine) == 0 and len(fine.table()) == 0 and len(made.layer("vectors").grid(2)) > 0
