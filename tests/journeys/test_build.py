"""Photos in, atlas out: what every user does, on the packaged network and two dozen drawn pictures."""

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import actatlas
from actatlas.cli import main
from actatlas.errors import PlanChanged, UsageError
from actatlas.progress import Silent
from actatlas.report import report

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
LAYERS = ["blocks.4.expanded", "blocks.9.expanded"]
SIDES = [3, 5]


def build(photos, out, network, **changes):
    # What "auto" takes depends on a clock, and is frozen in each atlas; here two atlases are compared.
    settings = {"layers": LAYERS, "grids": SIDES, "crops": 2, "positions": 3, "precision": "float32", "progress": False}
    settings |= {"draft": True, "icon_px": 48}  # quickly painted: nothing here is about looks
    return actatlas.build(photos, out=out, model=network, **(settings | changes))


def hashes(folder):
    files = json.loads((folder / "manifest.json").read_text())["files"]
    return {path: entry["sha256"] for path, entry in files.items()}


class StopAfter(Silent):
    """Ctrl-C at the n-th sign of progress in the stage with this title."""

    def __init__(self, title, n):
        self._title, self._left = title, n

    def stage(self, title, total, unit="", work=None):
        if title != self._title:
            return super().stage(title, total, unit)
        return self._stopping()

    def _stopping(self):
        from contextlib import contextmanager

        @contextmanager
        def stage():
            def tick(count, work=None):
                self._left -= 1
                if self._left <= 0:
                    raise KeyboardInterrupt

            yield tick

        return stage()


@pytest.fixture(scope="module")
def listing(drawn_photos, tmp_path_factory):
    """A CSV of the drawn pictures with two columns, one broken file among them."""
    folder = tmp_path_factory.mktemp("listed")
    for path in drawn_photos.iterdir():
        shutil.copy(path, folder)
    (folder / "broken.jpg").write_bytes(b"not a picture")
    names = sorted(p.name for p in folder.iterdir())
    pd.DataFrame(
        {"path": names, "label": [f"kind {i % 3}" for i in range(len(names))], "note": ["=1+1", *names[1:]]}
    ).to_csv(folder / "list.csv", index=False)
    return folder / "list.csv"


@pytest.fixture(scope="module")
def atlas(listing, tmp_path_factory, network):
    return build(listing, tmp_path_factory.mktemp("whole") / "atlas", network)


def test_listed_is_used_plus_skipped_and_each_skip_has_a_reason(atlas):
    assert atlas.image_counts == {"listed": 25, "used": 24, "skipped": 1}
    skipped = atlas.images[atlas.images.skipped.notna()]
    assert [Path(p).name for p in skipped.path] == ["broken.jpg"] and len(skipped.skipped.iloc[0]) > 5
    assert list(atlas.images.columns) == ["id", "path", "skipped", "label", "note"]


def test_a_layout_is_compared_with_one_of_another_seed(atlas):
    for layer in report(atlas, seeds=1, progress=Silent())["layers"].values():
        assert 2 * layer["stability"]["by_chance"] < layer["stability"]["kept"] < 1


def test_all_layers_share_photos_and_relative_places(atlas):
    first, second = (atlas.layer(name).activations for name in LAYERS)
    assert len(first) == 24 * 2 * 3
    for name in ("image_ids", "positions", "boxes"):
        assert (getattr(first, name) == getattr(second, name)).all()
    for name in LAYERS:
        _, height, width = atlas.layer(name).info.shape
        rows, columns = np.floor(first.positions[:, 0] * height), np.floor(first.positions[:, 1] * width)
        assert rows.min() >= 1 and rows.max() <= height - 2 and columns.min() >= 1 and columns.max() <= width - 2


def test_a_stored_vector_is_the_layer_at_its_place(atlas, network):
    import torch

    layer = atlas.layer(LAYERS[1])
    kept = layer.activations
    for row in (0, 50, 143):
        photo = atlas.source.read(int(kept.image_ids[row]))
        pixels = atlas.preprocessing.crop(photo, tuple(kept.boxes[row].tolist()))
        tensor = torch.from_numpy(np.asarray(pixels, np.float32) / 255).permute(2, 0, 1)[None]
        maps = network.activations(network.normalize(tensor), [layer.name])[layer.name][0]
        place = np.floor(kept.positions[row] * maps.shape[1:]).astype(int)
        expected = maps[:, place[0], place[1]].detach().numpy()
        got = kept.vectors[row].astype(np.float32)
        assert got @ expected / np.linalg.norm(got) / np.linalg.norm(expected) > 0.999


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("side", SIDES)
def test_cells_are_what_the_layout_and_the_vectors_say(atlas, name, side):
    layer = atlas.layer(name)
    grid, points, kept = layer.grid(side), layer.layout, layer.activations
    placed = ~np.isnan(points).any(axis=1)
    cell_of = np.minimum(np.floor(points[placed] * side), side - 1).astype(int)
    rows_of = np.flatnonzero(placed)
    expected = {}
    for row, (column, line) in zip(rows_of, cell_of, strict=True):
        expected.setdefault((line, column), []).append(row)
    expected = {c: r for c, r in sorted(expected.items()) if len(set(kept.image_ids[r])) >= 3}
    assert [(r, c) for c, r in grid.coordinates.tolist()] == list(expected)
    for k, rows in enumerate(expected.values()):
        assert grid.members(k).tolist() == rows
        assert grid.counts[k] == len(rows) and grid.image_counts[k] == len(set(kept.image_ids[rows]))
        assert np.allclose(grid.means[k], kept.vectors[rows].astype(np.float64).mean(axis=0), atol=1e-4)
        assert np.allclose(grid.attributions[k], layer.attributions[rows].astype(np.float64).mean(axis=0), atol=2e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_a_cell_is_labelled_by_what_it_speaks_for_more_than_the_average(atlas, name):
    layer = atlas.layer(name)
    assert layer.attribution_method == "patch-replacement" and layer.attribution_window == 3
    assert np.allclose(layer.attribution_mean, layer.attributions.astype(np.float64).mean(axis=0), atol=1e-3)
    grid = layer.grid(5)
    over_average = grid.attributions - layer.attribution_mean
    assert grid.table().label.tolist() == [atlas.labels[c] for c in over_average.argmax(axis=1)]
    classes, values = grid.top_classes(3)
    assert np.allclose(np.take_along_axis(over_average, classes, axis=1), values)
    assert (np.diff(values, axis=1) <= 0).all()


def test_a_cell_names_its_strongest_channels(atlas):
    grid = atlas.layer(LAYERS[0]).grid(5)
    found = grid.cell(3).channels(4)
    over = (grid.means[3] - atlas.layer(LAYERS[0]).mean) / np.maximum(grid.means.std(axis=0), 1e-6)
    assert [c for c, _ in found] == np.argsort(-over, kind="stable")[:4].tolist()
    assert [v for _, v in found] == pytest.approx(np.sort(over)[::-1][:4].tolist())


def test_the_stored_fidelity_is_that_of_the_stored_pixels(atlas, network):
    layer = atlas.layer(LAYERS[1])
    grid = layer.grid(5)
    answers = actatlas.measure_icons(network, layer, grid.icons) - layer.mean
    targets = grid.means - layer.mean
    cosines = (answers / np.linalg.norm(answers, axis=1)[:, None]) @ (
        targets / np.linalg.norm(targets, axis=1)[:, None]
    ).T
    own = np.diag(cosines)
    assert np.allclose(own, grid.cosine, atol=1e-3)
    assert ((cosines > own[:, None]).sum(axis=1) == grid.rank).mean() > 0.9
    far = np.diag(cosines[np.roll(np.arange(len(grid)), len(grid) // 2)])  # of cells on the other side of the map
    # Drafts of drawn pictures: their cosine is lower, but each is told from the others.
    assert own.mean() > max(0.3, far.mean() + 0.3)
    assert (grid.rank == 0).mean() > 0.8


def test_examples_are_patches_of_different_photos_nearest_first(atlas):
    layer = atlas.layer(LAYERS[1])
    grid = layer.grid(3)
    for n in (1, 4, 20):
        patches = grid.examples(0, n)
        assert len(patches) == min(n, grid.image_counts[0])
        assert {p.size for p in patches} == {(layer.patch_px, layer.patch_px)}
    assert np.asarray(grid.examples(0, 20)[0]).tolist() == np.asarray(grid.examples(0, 1)[0]).tolist()


def test_the_table_says_what_came_with_the_images(atlas):
    table = atlas.layer(LAYERS[0]).grid(3).table()
    assert table["image_label"].str.contains("kind").all()
    assert table["label"].isin(atlas.labels).all()
    assert (table["identified"] == (table["rank"] == 0)).all()


def test_every_json_file_is_as_its_schema_says(atlas):
    def schema(name):
        return json.loads((SCHEMAS / f"{name}.json").read_text())

    for name in ("plan", "pilot", "timings", "manifest", "labels", "site"):
        jsonschema.validate(json.loads((atlas.folder / f"{name}.json").read_text()), schema(name))
    for path in (atlas.folder / "layers").glob("*/expectation.json"):
        jsonschema.validate(json.loads(path.read_text()), schema("expectation"))
    for path in (atlas.folder / "shards").iterdir():
        jsonschema.validate(json.loads(path.read_text()), schema("shard"))
    for line in (atlas.folder / "journal.jsonl").read_text().splitlines():
        jsonschema.validate(json.loads(line), schema("journal"))
    counted = {"timings.json", "journal.jsonl", "manifest.json", ".lock"}
    on_disk = {p.relative_to(atlas.folder).as_posix() for p in atlas.folder.rglob("*") if p.is_file()} - counted
    assert on_disk == set(hashes(atlas.folder))


def test_an_unreadable_photo_changes_nothing_for_the_others(atlas, listing, network, tmp_path):
    mended = tmp_path / "mended"
    shutil.copytree(listing.parent, mended)
    Image.new("RGB", (200, 200), (200, 30, 90)).save(mended / "broken.jpg")
    other = build(mended / "list.csv", tmp_path / "other", network, grids=[2])
    layer, before = other.layer(LAYERS[0]).activations, atlas.layer(LAYERS[0]).activations
    broken = atlas.images.id[atlas.images.skipped.notna()].iloc[0]
    kept = layer.image_ids != broken
    assert (~kept).sum() == 6 and (layer.image_ids[kept] == before.image_ids).all()
    assert layer.vectors[kept].tobytes() == before.vectors.tobytes()


@pytest.mark.parametrize(
    ("stage", "n"),
    [
        ("Collecting activations", 1),
        ("Averaging cells", 2),
        ("Learning what photos look like", 1),
        ("Painting icons", 1),
        ("Painting icons", 3),
    ],
)
def test_a_stopped_build_continues_to_the_same_bytes(atlas, listing, network, tmp_path, stage, n):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        build(listing, out, network, progress=StopAfter(stage, n))
    assert not (out / "manifest.json").exists()
    journal_before = (out / "journal.jsonl").read_text()
    build(listing, out, network)
    assert hashes(out) == hashes(atlas.folder)
    assert (out / "journal.jsonl").read_text().startswith(journal_before), "what was finished was not done again"


def test_a_finished_build_run_again_changes_nothing(atlas, listing, network):
    before = {p: p.stat().st_mtime_ns for p in atlas.folder.rglob("*") if p.is_file() and not p.name.startswith(".")}
    build(listing, atlas.folder, network)
    after = {p: p.stat().st_mtime_ns for p in atlas.folder.rglob("*") if p.is_file() and not p.name.startswith(".")}
    assert after == before


def test_the_same_command_again_loads_no_network_and_notices_other_photos_and_options(drawn_photos, tmp_path, capsys):
    photos = shutil.copytree(drawn_photos, tmp_path / "photos")
    command = ["build", str(photos), "--out", str(tmp_path / "atlas"), "--layer", "blocks.9.expanded", "--grid", "3"]
    command += ["--positions", "4", "--draft", "--json"]
    assert main(command) == 0
    first, before = json.loads(capsys.readouterr().out), hashes(tmp_path / "atlas")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("actatlas.api.load_network", lambda *given, **settings: pytest.fail("the network was loaded"))
        assert main(command) == 0
        assert json.loads(capsys.readouterr().out) == first
    assert main([*command, "--seed", "1"]) == 7
    assert "other --seed;" in capsys.readouterr().err
    photo = sorted(photos.iterdir())[0]
    photo.write_bytes(photo.read_bytes()[::-1])
    assert main(command) == 7
    assert "other photos;" in capsys.readouterr().err and hashes(tmp_path / "atlas") == before


def test_the_same_build_shows_less_of_the_photos_when_asked_to_and_remembers_it(atlas, listing, network, tmp_path):
    out = shutil.copytree(atlas.folder, tmp_path / "atlas")
    patches = {path for path in hashes(out) if path.endswith(".jpg")}
    build(listing, out, network, examples="none")
    assert patches and not any(path in hashes(out) for path in patches) and not list((out / "site").rglob("*.jpg"))
    assert actatlas.open(out).files.verify() == len(hashes(out))
    build(listing, out, network)
    assert not list((out / "site").rglob("*.jpg"))
    build(listing, out, network, examples="patches")
    assert hashes(out) == hashes(atlas.folder)


def test_an_atlas_begun_otherwise_is_refused_and_left_as_it_was(atlas, listing, network):
    before = hashes(atlas.folder)
    for changes, named in (
        ({"seed": 1}, "other --seed;"),
        ({"layers": LAYERS[:1]}, r"other layers \(--layer\);"),
        ({"positions": 2, "layers": LAYERS[:1]}, r"other layers \(--layer\), --positions;"),
    ):
        with pytest.raises(PlanChanged, match=named):
            build(listing, atlas.folder, network, **changes)
    assert hashes(atlas.folder) == before and actatlas.open(atlas.folder).files.verify() == len(before)


def test_a_grid_can_be_added_to_a_finished_atlas(listing, network, tmp_path):
    out = tmp_path / "atlas"
    build(listing, out, network, layers=LAYERS[:1], grids=[3])
    kept = {p: h for p, h in hashes(out).items() if not p.startswith(("site/", "site.json"))}
    grown = build(listing, out, network, layers=LAYERS[:1], grids=[3, 4])
    assert grown.layer(LAYERS[0]).grid_sides == [3, 4] and grown.files.verify()
    assert kept.items() <= hashes(out).items()


def test_grids_coarser_and_finer_can_be_added_to_one_that_was_painted_alone(listing, network, tmp_path):
    out = tmp_path / "atlas"
    build(listing, out, network, layers=LAYERS[:1], grids=[4])
    kept = {p: h for p, h in hashes(out).items() if "/grids/4/" in p}
    grown = build(listing, out, network, layers=LAYERS[:1], grids=[3, 4, 5])
    assert all(grown.layer(LAYERS[0]).grid(side).is_painted.all() for side in (3, 4, 5)) and grown.files.verify()
    assert kept and kept.items() <= hashes(out).items()


def test_icons_begun_before_a_coarser_grid_was_asked_for_are_painted_anew(listing, network, tmp_path):
    out, settings = tmp_path / "atlas", {"layers": LAYERS[:1]}
    with pytest.raises(KeyboardInterrupt):
        build(listing, out, network, grids=[5], progress=StopAfter("Painting icons", 1), **settings)
    both = build(listing, out, network, grids=[3, 5], **settings)
    assert both.layer(LAYERS[0]).grid(5).is_painted.all() and both.files.verify()


def test_a_draft_is_quicker_and_less_like_its_targets_and_icons_have_the_side_that_was_asked_for(
    listing, network, tmp_path
):
    full = build(listing, tmp_path / "full", network, layers=LAYERS[:1], grids=[3], draft=False, icon_px=56)
    quick = build(listing, tmp_path / "quick", network, layers=LAYERS[:1], grids=[3], icon_px=56)
    grids = [atlas.layer(LAYERS[0]).grid(3) for atlas in (quick, full)]
    assert all(grid.icons.shape[1:] == (56, 56, 3) and grid.is_painted.all() for grid in grids)
    assert grids[0].icon_seconds < grids[1].icon_seconds and grids[0].cosine.mean() < grids[1].cosine.mean()


def test_a_cell_is_painted_larger_and_its_concepts_each_have_an_icon(atlas, network):
    grid = atlas.layer(LAYERS[1]).grid(3)
    cell = grid.cell(int(np.argmax(grid.counts)))
    assert (cell.column, cell.row) == tuple(grid.coordinates[cell.k]) and cell.count == len(cell.members)
    assert grid.cell_at(cell.column, cell.row).k == cell.k
    large = cell.render(steps=24, px=112, model=network)
    assert large.image.size == (112, 112) and large.cosine > 0.2
    assert np.array_equal(large.image, cell.render(steps=24, px=112, model=network).image)
    assert [cell.render(steps=2, px=px, model=network).image.width for px in (8, 16, 32)] == [16, 16, 48]
    facets = cell.facets(2, steps=12, model=network)
    assert sorted(np.concatenate([facet.rows for facet in facets])) == sorted(cell.members)
    assert len(facets) == 2 and len(facets[0]) >= len(facets[1])
    vectors = atlas.layer(LAYERS[1]).activations.vectors.astype(np.float32) - atlas.layer(LAYERS[1]).mean
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def agreement(rows):
        return np.linalg.norm(unit[rows].mean(axis=0))

    whole = agreement(cell.members)
    assert sum(agreement(facet.rows) * len(facet) for facet in facets) / cell.count > whole + 0.02
    assert len(cell.facets(10_000, steps=1, model=network)) <= cell.count


def test_what_cannot_be_painted_is_one_clear_sentence(atlas, network):
    cell = atlas.layer(LAYERS[0]).grid(3).cell(0)
    with pytest.raises(UsageError, match="size_px must be from 8 to 512, not 4"):
        cell.render(px=4, model=network)
    with pytest.raises(UsageError, match="steps must be numbers of at least 1"):
        cell.render(steps=0, model=network)
    with pytest.raises(UsageError, match="has no cell at 9,9"):
        cell.grid.cell_at(9, 9)
    with pytest.raises(PlanChanged, match="has other weights"):
        cell.render(model="torchvision:resnet18@none")
