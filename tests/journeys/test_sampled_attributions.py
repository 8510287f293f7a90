"""An atlas of more activations than shall all carry attributions: what uses them works on some of each cell."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import actatlas
from actatlas import cli, estimate, pipeline
from actatlas.classes.following import draw_strip
from actatlas.collect import CollectSettings
from actatlas.errors import PlanChanged, UnreadableImage, UsageError
from actatlas.images import open_source
from actatlas.inversion import InversionSettings
from actatlas.layout import LayoutSettings
from actatlas.planning import BuildSettings, make_plan
from actatlas.preprocessing import Preprocessing
from actatlas.progress import Silent
from actatlas.report import as_text, report
from actatlas.sample import row_keys
from actatlas.store import AtlasFolder

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
LAYERS = ("seen", "felt")
SIDES = (3, 6)
PX = 32
PHOTOS, CROPS, POSITIONS = 48, 2, 8
MOST, FOR_AVERAGE = 4, 100


class Colours(nn.Module):
    """Six classes, one a hue; early channels answer to a place's hue, late ones to what lies around it."""

    def __init__(self) -> None:
        super().__init__()
        angles = torch.arange(6) * torch.pi / 3
        plane = torch.tensor([[1.0, -0.5, -0.5], [0.0, 0.87, -0.87]])
        self.early, self.seen = nn.Conv2d(3, 6, 4, stride=4), nn.ReLU()
        self.late, self.felt = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.ReLU()
        with torch.no_grad():
            hues = torch.stack([torch.cos(angles), torch.sin(angles)], dim=1) @ plane  # (6, 3)
            self.early.weight.copy_(hues[:, :, None, None].expand(6, 3, 4, 4) / 8)
            self.early.bias.fill_(-0.1)
            self.late.weight.copy_((torch.eye(6) - 0.1)[:, :, None, None].expand(6, 6, 3, 3) / 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * self.felt(self.late(self.seen(self.early(x)))).mean(dim=(2, 3))


class StopAfter(Silent):
    """Ctrl-C at the n-th sign of progress in the stage with this title."""

    def __init__(self, title, n):
        self._title, self._left = title, n

    @contextmanager
    def stage(self, title, total, unit="", work=None):
        def tick(count, work=None):
            self._left -= title == self._title
            if self._left == 0:
                raise KeyboardInterrupt

        yield tick


@pytest.fixture(scope="module")
def patchworks(tmp_path_factory) -> Path:
    """Patchworks of coloured squares."""
    folder, random = tmp_path_factory.mktemp("patchworks"), np.random.default_rng(0)
    for number in range(PHOTOS):
        squares = random.integers(0, 6, (4, 4)) * 42 + random.integers(0, 16, (4, 4))
        channels = (squares, random.integers(120, 255, (4, 4)), np.full((4, 4), 230))
        bands = [Image.fromarray(band.astype(np.uint8)).resize((48, 48), 0) for band in channels]
        Image.merge("HSV", bands).convert("RGB").save(folder / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def network():
    labels = ["red", "yellow", "green", "cyan", "blue", "magenta"]
    return actatlas.load_network(Colours(), preprocessing=Preprocessing((PX, PX), PX), labels=labels)


def settings(grids=SIDES, layers=LAYERS, icons=None, layout=None, **collect) -> BuildSettings:
    wanted = {
        "crops": CROPS, "positions": POSITIONS, "precision": "float32", "shard_images": 10,
        "attribute_all_up_to": 500, "attributed_photos": MOST, "attributed_for_average": FOR_AVERAGE,
    }  # fmt: skip
    return BuildSettings(
        layers=layers,
        grids=grids,
        collect=CollectSettings(**(wanted | collect)),
        layout=layout or LayoutSettings(epochs=20),
        icons=icons or InversionSettings(size_px=16).as_draft(),
    )


def build(photos, out, network, wanted=None, progress=None):
    pipeline.build(network, open_source(photos), out, wanted or settings(), progress or Silent())
    atlas = actatlas.open(out)
    atlas.network = network
    return atlas


def hashes(folder):
    files = json.loads((folder / "manifest.json").read_text())["files"]
    return {path: entry["sha256"] for path, entry in files.items()}


@pytest.fixture(scope="module")
def whole(patchworks, network, tmp_path_factory):
    """Every activation carries attributions."""
    return build(patchworks, tmp_path_factory.mktemp("whole") / "atlas", network, settings(attribute_all_up_to=10**6))


@pytest.fixture(scope="module")
def some(patchworks, network, tmp_path_factory):
    """Some of each cell do. Tests that write into it take a copy."""
    return build(patchworks, tmp_path_factory.mktemp("some") / "atlas", network)


@pytest.fixture
def copied(some, network, tmp_path):
    shutil.copytree(some.folder, tmp_path / "copied")
    opened = actatlas.open(tmp_path / "copied")
    opened.network = network
    return opened


def sample_of(grid, keys):
    """The rule, said once more: of the photos with a cell's smallest keys that member each."""
    ids, found = grid.layer.places.image_ids, []
    for k in range(len(grid)):
        members = sorted(grid.members(k).tolist(), key=keys.__getitem__)
        first = {}
        for row in members:
            first.setdefault(int(ids[row]), row)
        taken, left_out = list(first.values())[:MOST], list(first.values())[MOST:]
        threshold = keys[left_out[0]] if left_out else 1.0
        counts = [int((ids[grid.members(k)] == ids[row]).sum()) for row in taken]
        found.append((np.array(taken), np.array([m / (1 - (1 - threshold) ** m) for m in counts])))
    return found


@pytest.mark.parametrize("name", LAYERS)
def test_some_of_each_cell_carry_what_they_would_if_all_did(whole, some, name):
    every, few = whole.layer(name), some.layer(name)
    assert np.array_equal(every.activations.vectors, few.activations.vectors)
    assert np.array_equal(every.layout, few.layout, equal_nan=True)
    keys = row_keys(0, few.activation_count)
    chosen = {int(row) for side in SIDES for rows, _ in sample_of(few.grid(side), keys) for row in rows}
    average = np.argsort(keys)[:FOR_AVERAGE].tolist()
    assert few.attributed_rows.tolist() == sorted(chosen | set(average))
    assert len(few.attributed_rows) < 0.5 * few.activation_count
    for rows, attributions in few.read_attributed():
        assert np.array_equal(attributions, every.attributions[rows])
    assert np.array_equal(few.attributions_of(few.attributed_rows), every.attributions[few.attributed_rows])
    assert few.attributions_of(np.arange(few.activation_count)) is None

    expected = every.attributions[average].astype(float)
    assert np.allclose(few.attribution_mean, expected.mean(axis=0), atol=1e-5)
    error = np.sqrt(expected.var(axis=0, ddof=1) / FOR_AVERAGE * (1 - FOR_AVERAGE / few.activation_count))
    assert np.allclose(few.attribution_mean_error, error, rtol=1e-3) and every.attribution_mean_error is None
    assert (np.abs(few.attribution_mean - every.attribution_mean) < 4 * error).all()


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("side", SIDES)
def test_a_cell_speaks_by_at_most_so_many_photos_and_says_how_far_it_may_be_off(whole, some, name, side):
    grid, every = some.layer(name).grid(side), whole.layer(name)
    for k, (rows, w) in enumerate(sample_of(grid, row_keys(0, every.activation_count))):
        values = every.attributions[rows].astype(float)
        assert grid.attribution_photos[k] == len(rows) <= MOST
        assert len(set(every.places.image_ids[rows])) == len(rows)
        mean = (w[:, None] * values).sum(axis=0) / w.sum()
        spread = (w[:, None] * (values - mean) ** 2).sum(axis=0) / w.sum() * len(rows) / (len(rows) - 1)
        error = np.sqrt(spread * (w * (w - 1)).sum()) / w.sum()
        assert np.allclose(grid.attributions[k], mean, atol=1e-5)
        assert np.allclose(grid.attribution_errors[k], error, rtol=2e-3, atol=1e-6)
    truth = every.grid(side).attributions
    within = np.abs(grid.attributions - truth) <= 2 * grid.attribution_errors + 1e-4
    assert within.mean() > 0.8 and every.grid(side).attribution_errors is None
    assert np.array_equal(every.grid(side).attribution_photos, every.grid(side).image_counts)
    labels, truths = (g.top_classes(1)[0][:, 0] for g in (grid, every.grid(side)))
    assert (labels == truths).mean() > 0.5 > 2 * (np.roll(labels, len(labels) // 2) == truths).mean() - 0.5


@pytest.mark.parametrize(
    ("stage", "n"),
    [("Attributing some of each cell", 1), ("Attributing some of each cell", 7), ("Averaging attributions", 2)],
)
def test_a_build_that_was_stopped_there_continues_to_the_same_bytes(some, patchworks, network, tmp_path, stage, n):
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        build(patchworks, out, network, progress=StopAfter(stage, n))
    assert not (out / "manifest.json").exists()
    before = (out / "journal.jsonl").read_text()
    build(patchworks, out, network)
    assert hashes(out) == hashes(some.folder)
    assert (out / "journal.jsonl").read_text().startswith(before), "what was finished was not done again"


def test_files_of_a_unit_that_was_cut_short_between_layers_are_made_again(some, patchworks, network, tmp_path):
    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        build(patchworks, out, network, progress=StopAfter("Averaging attributions", 1))
    last = sorted((out / "layers" / LAYERS[1] / "attributions").glob("0*.safetensors"))[-1]
    last.unlink()
    build(patchworks, out, network)
    assert hashes(out) == hashes(some.folder)


def test_a_photo_that_is_gone_is_named_and_the_build_goes_on_when_it_is_back(some, patchworks, network, tmp_path):
    out, photos = tmp_path / "atlas", tmp_path / "photos"
    shutil.copytree(patchworks, photos)
    with pytest.raises(KeyboardInterrupt):
        build(photos, out, network, progress=StopAfter("Averaging cells", 4))
    row = actatlas.open(out).layer(LAYERS[0])
    path = Path(row.atlas.source.records[int(row.places.image_ids[np.argmin(row_keys(0, 768))])].path)
    content = path.read_bytes()
    # Its middle stays, by which a photo that was replaced would be told before anything is read.
    path.write_bytes(b"x" * (len(content) // 2) + content[len(content) // 2 :])
    with pytest.raises(UnreadableImage, match=f"{path.name} cannot be read again"):
        build(photos, out, network)
    path.write_bytes(content)
    kept = {p: h for p, h in hashes(build(photos, out, network).folder).items() if p.startswith("layers/")}
    assert kept.items() <= hashes(some.folder).items()


def test_a_grid_that_is_added_adds_what_its_cells_lack(patchworks, network, tmp_path):
    out = tmp_path / "atlas"
    coarse = build(patchworks, out, network, settings(grids=(3,)))
    before, carried = hashes(out), coarse.layer(LAYERS[0]).attributed_rows
    both = build(patchworks, out, network, settings(grids=(3, 6)))
    kept = {path: digest for path, digest in before.items() if not path.startswith("site")}
    assert kept.items() <= hashes(out).items()
    layer = both.layer(LAYERS[0])
    assert set(carried) < set(layer.attributed_rows) and len(set(layer.attributed_rows)) == len(layer.attributed_rows)
    assert layer.grid(6).attribution_photos.max() == MOST and both.files.verify()


def test_other_icons_keep_what_is_attributed_and_another_layout_does_not(copied, patchworks, network):
    def attributed():
        return {p: h for p, h in hashes(copied.folder).items() if "attributions" in p}

    before = attributed()
    assert len(before) > 10
    build(patchworks, copied.folder, network, settings(icons=InversionSettings(size_px=24).as_draft()))
    assert attributed() == before
    again = build(patchworks, copied.folder, network, settings(layout=LayoutSettings(epochs=20, seed=1)))
    after = attributed()
    assert after and after != before and again.files.verify()
    keys = row_keys(0, again.layer(LAYERS[0]).activation_count)
    sample = [rows for side in SIDES for rows, _ in sample_of(again.layer(LAYERS[0]).grid(side), keys)]
    expected = set(np.concatenate(sample).tolist()) | set(np.argsort(keys)[:FOR_AVERAGE].tolist())
    assert set(again.layer(LAYERS[0]).attributed_rows.tolist()) == expected, "nothing is left of the layout before"


def test_an_atlas_begun_before_there_were_samples_goes_on(whole, patchworks, network, tmp_path):
    shutil.copytree(whole.folder, tmp_path / "older")
    plan = json.loads((tmp_path / "older" / "plan.json").read_text())
    for name in ("attribute_all_up_to", "attributed_photos", "attributed_for_average"):
        del plan["settings"]["collect"][name]
    AtlasFolder(tmp_path / "older").write_json("plan.json", plan)
    everything = settings(grids=(3, 4, 6), attribute_all_up_to=10**6)
    grown = build(patchworks, tmp_path / "older", network, everything)
    assert grown.layer(LAYERS[0]).grid_sides == [3, 4, 6] and grown.layer(LAYERS[0]).attributions is not None
    assert "attribute_all_up_to" not in (tmp_path / "older" / "plan.json").read_text(), "it stays as it was begun"
    with pytest.raises(PlanChanged, match="attribute_all_up_to"):
        build(patchworks, tmp_path / "older", network)


def test_a_class_atlas_is_of_what_carries_attributions_and_says_so(whole, copied, capsys):
    layer, every = copied.layer("felt"), whole.layer("felt")
    made = copied.class_atlas("green", grid=2, most=30)
    rows = layer.attributed_rows
    values = every.attributions[rows, 2].astype(np.float32)
    strongest = (every.attributions[rows] - layer.attribution_mean).argmax(axis=1) == 2
    taken = set(rows[np.argsort(-values, kind="stable")[:30]]) | set(rows[strongest])
    score = dict(zip(rows.tolist(), values.tolist(), strict=True))
    expected = sorted(int(row) for row in taken if score[int(row)] > 0)
    assert made.rows.tolist() == expected and np.allclose(made.scores, [score[row] for row in expected])
    assert made.coverage == pytest.approx(made.scores.sum() / np.maximum(values, 0).sum(), rel=1e-3)
    assert made.scored_count == len(rows) < layer.activation_count
    grid = made.grid(2)
    assert grid.attribution_errors is None, "all of its members carry attributions"
    for k in range(len(grid)):
        of_members = every.attributions[made.rows[grid.members(k)]].astype(float)
        assert np.allclose(grid.attributions[k], of_members.mean(axis=0), atol=2e-3)
    assert np.array_equal(made.attributions, every.attributions[made.rows])
    facts = json.loads((made.folder / "chosen.json").read_text())
    jsonschema.validate(facts, json.loads((SCHEMAS / "chosen.json").read_text()))

    told = f"in the {len(rows):,} of {layer.activation_count:,} that carry attributions"
    assert cli.main(["class", str(copied.folder), "green", "--grid", "2", "--most", "30"]) == 0
    assert told in capsys.readouterr().out
    with pytest.raises(actatlas.errors.TooFewImages, match=f"of the {len(rows)} that carry attributions"):
        copied.class_atlas("blue", grid=2, most=5, min_images=PHOTOS)
    both = copied.compare("red", "cyan", grid=2, most=40)
    assert set(both.rows) <= set(rows) and both.scored_count == len(rows)
    difference = every.attributions[both.rows, 3].astype(np.float32) - every.attributions[both.rows, 0]
    assert np.allclose(both.scores, difference, atol=1e-6)
    assert copied.files.verify()


def test_cells_of_a_channel_are_attributed_when_they_are_made(whole, copied):
    made = copied.channel_atlas(1, "felt", grid=2, most=120)
    layer, every = copied.layer("felt"), whole.layer("felt")
    assert made.scored_count == layer.activation_count, "channels are known of all"
    assert not set(made.rows) <= set(layer.attributed_rows)
    grid = made.grid(2)
    keys = row_keys(0, layer.activation_count)[made.rows]
    for k, (members, w) in enumerate(sample_of(grid, keys)):
        values = every.attributions[made.rows[members]].astype(float)
        assert np.allclose(grid.attributions[k], (w[:, None] * values).sum(axis=0) / w.sum(), atol=2e-3)
    assert grid.attribution_photos.max() == MOST and (grid.attribution_errors >= 0).all()
    assert grid.top_classes(1) is not None and "label" in grid.table()
    with pytest.raises(UsageError, match=r"of [\d,]+ activations of channel 1 · felt carry attributions"):
        made.attributions  # noqa: B018
    assert copied.files.verify()


def test_a_class_is_followed_and_traced_with_errors_beside(some, whole):
    table = some.follow("green")
    for name in LAYERS:
        grid, rows = some.layer(name).grid(3), table[table.layer == name]
        cells = [grid.cell_at(c, r).k for c, r in zip(rows["column"], rows["row"], strict=True)]
        assert np.allclose(rows["error"], grid.attribution_errors[cells, 2])
        assert (rows["error"] > 0).mean() > 0.8
    assert (whole.follow("green")["error"] == 0).all()
    assert draw_strip(some, 2, "green").size == draw_strip(whole, 2, "green").size
    trace = some.trace("green")
    assert trace.k == some.layer("felt").grid(3).attributions[:, 2].argmax() and trace.origins[0].contributors


def test_single_activations_without_attributions_are_told_in_one_sentence(some):
    layer = some.layer("felt")
    count = f"{len(layer.attributed_rows):,} of {layer.activation_count:,} activations of felt carry attributions"
    with pytest.raises(UsageError, match=count):
        layer.attributions  # noqa: B018


def test_misunderstandings_are_searched_among_what_carries_attributions(copied):
    found = copied.confusions(top=3)
    rows = set(copied.layer("felt").attributed_rows.tolist())
    assert all(entry.proposal.row in rows for entry in found.entries)
    behind = found.photos_behind()
    assert len(found) == 0 or len(behind)


def test_the_report_and_the_site_say_how_many_photos_speak_for_a_cell(some, whole):
    figures = report(some, 0, Silent())
    grid = figures["layers"]["felt"]["grids"]["6"]
    assert grid["attributions"]["photos"] == MOST and grid["attributions"]["error"] > 0
    assert any(f"estimated from up to {MOST} photos a cell" in line for line in as_text(figures))
    assert report(whole, 0, Silent())["layers"]["felt"]["grids"]["6"]["attributions"] is None
    schema = json.loads((SCHEMAS / "site-cells.json").read_text())
    for atlas, is_sampled in ((some, True), (whole, False)):
        written = (atlas.folder / "site" / "layers" / "felt" / "6" / "cells.js").read_text()
        value = json.loads(written[written.index(",") + 1 : written.rindex(")")])
        jsonschema.validate(value, schema)
        assert ("errors" in value) == ("value_photos" in value) == is_sampled
    cells = some.layer("felt").grid(6)
    written = (some.folder / "site" / "layers" / "felt" / "6" / "cells.js").read_text()
    value = json.loads(written[written.index(",") + 1 : written.rindex(")")])
    errors = np.take_along_axis(cells.attribution_errors, cells.top_classes(5)[0], axis=1)
    assert (
        np.allclose(value["errors"], errors, rtol=6e-3) and value["value_photos"] == cells.attribution_photos.tolist()
    )


@pytest.mark.parametrize("method", ["gradient", "removal"])
def test_other_methods_are_sampled_alike(patchworks, network, tmp_path, method):
    wanted = settings(grids=(3,), layers=("felt",), attribution=method)
    few = build(patchworks, tmp_path / "few", network, wanted).layer("felt")
    everything = replace(wanted, collect=replace(wanted.collect, attribute_all_up_to=10**6))
    every = build(patchworks, tmp_path / "every", network, everything).layer("felt")
    assert few.attribution_method == method
    assert np.array_equal(few.attributions_of(few.attributed_rows), every.attributions[few.attributed_rows])


@pytest.mark.parametrize("without", ["attribution", "logits"])
def test_without_attributions_or_logits_there_is_nothing_to_do(patchworks, network, tmp_path, without):
    said = []

    class Told(Silent):
        def stage(self, title, total, unit="", work=None):
            said.append(title)
            return super().stage(title, total, unit, work)

    if without == "logits":
        cut = nn.Sequential(network.module.early, network.module.seen)
        network = actatlas.load_network(cut, preprocessing=network.preprocessing)
        wanted = settings(grids=(3,), layers=("1",))
    else:
        wanted = settings(grids=(3,), layers=("seen",), attribution=None)
    atlas = build(patchworks, tmp_path / "atlas", network, wanted, Told())
    assert "Averaging cells" in said and not any("ttribut" in title for title in said)
    layer = atlas.layer(atlas.layer_names[0])
    assert layer.attributions is None and layer.grid(3).attributions is None and len(layer.attributed_rows) == 0
    assert "attributions" not in atlas.timings["stages"]


def test_a_dry_run_counts_the_stage(patchworks, network):
    source = open_source(patchworks)

    def expected(wanted):
        return estimate.expected(network, source, wanted, make_plan(network, source, wanted), Silent())

    few, every = expected(settings(grids=(3,))), expected(settings(grids=(3,), attribute_all_up_to=10**6))
    assert few["seconds"]["attributions"] > 0 and "attributions" not in every["seconds"]
    assert few["disk_bytes"] < every["disk_bytes"] and few["activations"] == PHOTOS * CROPS * POSITIONS


def test_what_is_added_to_it_carries_some_too_and_what_carried_some_stays(patchworks, network, tmp_path):
    half = sorted(patchworks.iterdir())[: PHOTOS // 2]
    out, how = tmp_path / "atlas", {"attribute_all_up_to": 100}
    begun = build(half, out, network, settings(layers=("felt",), **how))
    units = {path: begun.files.read_bytes(path) for path in begun.layer("felt").attribution_units}
    for photos, layers in ((half, LAYERS), (patchworks, LAYERS)):
        pipeline.build(network, open_source(photos), out, settings(layers=layers, **how), Silent(), add=True)
        grown = actatlas.open(out)
        assert {path: grown.files.read_bytes(path) for path in units} == units
        for layer in map(grown.layer, LAYERS):
            rows = layer.attributed_rows
            assert len(np.unique(rows)) == len(rows) < layer.activation_count
            assert all(np.isfinite(layer.grid(side).attributions).all() for side in SIDES)
    assert grown.layer("seen").activation_count == PHOTOS * CROPS * POSITIONS
    assert (grown.layer("felt").attributed_rows >= PHOTOS // 2 * CROPS * POSITIONS).any()


def test_where_all_carried_them_those_that_are_added_do_too(patchworks, network, tmp_path):
    half = sorted(patchworks.iterdir())[: PHOTOS // 2]
    out, wanted = tmp_path / "atlas", settings(layers=("felt",))
    assert build(half, out, network, wanted).layer("felt").attributions is not None  # 384 of them, at most 500
    pipeline.build(network, open_source(patchworks), out, wanted, Silent(), add=True)
    found = actatlas.open(out).layer("felt").attributions
    assert len(found) == PHOTOS * CROPS * POSITIONS
