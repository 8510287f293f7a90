"""Second sets of photos on a finished atlas: a small network, for which what is on a photo is its colour."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

import actatlas
from actatlas.atlas import STATES
from actatlas.cli import main
from actatlas.errors import LayerNotFound, NetworkError, PlanChanged, TooFewImages, UnfinishedAtlas, UsageError
from actatlas.projection import draw_projection
from actatlas.site import write_site
from actatlas.site.settings import SiteSettings
from actatlas.store import AtlasFolder
from actatlas.testing.small import small_build, small_network

ROOT = Path(__file__).resolve().parents[2]
COLOURS = ((200, 60, 50), (60, 170, 70), (60, 80, 200), (150, 150, 150))
SIDE = 4


def coloured(folder: Path, count: int, first: int = 0) -> list[str]:
    """Photos of one of four colours, by their number."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(first, first + count):
        random = np.random.default_rng(number)
        ground = np.array(COLOURS[number % len(COLOURS)]) + random.integers(-25, 26, 3)
        pixels = np.clip(ground + random.normal(scale=18, size=(40, 44, 3)), 0, 255).astype(np.uint8)
        path = folder / f"{number:04d}.png"
        Image.fromarray(pixels).save(path)
        paths.append(str(path))
    return paths


def colour_of(path: str) -> int:
    return int(Path(path).stem) % len(COLOURS)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """An atlas of 160 photos, and 160 others beside it."""
    folder = tmp_path_factory.mktemp("projection")
    own = coloured(folder / "own", 160)
    coloured(folder / "others", 160, first=1000)
    small_build(own, folder / "atlas", grids=(SIDE,), layers=("second",))
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    shutil.copytree(made / "atlas", tmp_path / "atlas")
    return tmp_path


def others(made: Path, without: int | None = None) -> list[str]:
    return [str(path) for path in sorted((made / "others").glob("*.png")) if colour_of(str(path)) != without]


def projected(folder: Path, photos: list[str], name: str = "others", **how):
    atlas = actatlas.open(folder / "atlas")
    return atlas.project(photos, name=name, model=small_network(), **how)


def test_cells_of_what_the_second_set_lacks_are_told_and_no_others(made, folder):
    found = projected(folder, others(made, without=2))
    layer = found.atlas.layer("second")
    grid = layer.grid(SIDE)
    colours = np.array([colour_of(path) for path in found.atlas.images["path"]])[layer.places.image_ids]
    of_blue = np.array([np.mean(colours[grid.members(k)] == 2) for k in range(len(grid))])
    is_told = found.cells(grid)["state"] == STATES.index("unreached")
    blue = of_blue * grid.counts
    is_pure = of_blue >= 0.8
    assert blue[is_pure].sum() > 30  # or nothing is asked
    assert blue[is_pure & is_told].sum() >= 0.9 * blue[is_pure].sum()
    assert not (is_told & (of_blue < 0.2)).any()
    by_chance = is_told.mean()
    assert by_chance < 0.5


def test_photos_of_the_same_kind_differ_nowhere(made, folder):
    found = projected(folder, others(made))
    grid = found.atlas.layer("second").grid(SIDE)
    assert (found.cells(grid)["state"] == STATES.index("alike")).all()
    assert np.mean(found.cells(grid)["reach"]) == pytest.approx(1, abs=0.15)
    assert found.of_layer("second")["far"]["share"] < 0.05


def test_what_the_atlas_has_nothing_like_is_told(made, folder, tmp_path):
    yellow = tmp_path / "yellow"
    yellow.mkdir()
    for number in range(10):
        random = np.random.default_rng(number)
        pixels = np.clip(np.array((235, 225, 20)) + random.normal(scale=18, size=(40, 44, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(yellow / f"{number}.png")
    found = projected(folder, [*others(made), *(str(path) for path in sorted(yellow.glob("*.png")))])
    far = found.of_layer("second")["far"]
    assert far["share"] > 0.04 and far["interval"][0] > far["own_share"]
    assert sum("yellow" in entry["file"] for entry in far["photos"]) >= 8
    assert found.patch("second", "far", 0).size == (found.atlas.layer("second").patch_px,) * 2
    assert "no more than chance" not in " ".join(found.told(found.atlas.layer("second").grid(SIDE)))


def test_the_atlas_itself_stays_as_it_is(made, folder):
    before = actatlas.open(folder / "atlas")
    files = {path: before.files.was(path) for path in before.files.committed() if not path.startswith("site/")}
    found = projected(folder, others(made))
    assert {path: found.atlas.files.was(path) for path in files} == files
    assert found.atlas.files.verify() > len(files)
    assert [one.name for one in found.atlas.projections] == ["others"]
    assert not list((folder / "atlas" / "projections").glob(".*"))  # nothing of the work is left


def test_the_atlas_s_own_photos_are_not_their_own_neighbours(made, folder):
    own = actatlas.open(folder / "atlas").images["path"].tolist()
    found = projected(folder, own)
    assert found.of_layer("second")["shared_photos"] == len(own)
    distances = found.points("second")["distances"]
    assert np.median(distances) > 1e-4  # nearest to another photo, not to itself
    grid = found.atlas.layer("second").grid(SIDE)
    assert (found.cells(grid)["state"] == STATES.index("alike")).all()


def test_where_a_photo_falls_does_not_depend_on_the_others(made, folder):
    photos = others(made)
    some, more = projected(folder, photos[:20], "some"), projected(folder, photos[:40], "more")
    few = some.points("second")
    of_some = np.concatenate([few["positions"], few["points"]], axis=1)
    every = more.points("second")
    is_there = np.isin(every["image_ids"], np.unique(few["image_ids"]))
    of_more = np.concatenate([every["positions"], every["points"]], axis=1)[is_there]
    order = [np.lexsort(part[:, :2].T) for part in (of_some, of_more)]
    np.testing.assert_allclose(of_some[order[0]], of_more[order[1]], atol=1e-6)


def test_the_same_again_loads_no_network_and_other_photos_take_the_place(made, folder):
    first = projected(folder, others(made))
    atlas = actatlas.open(folder / "atlas")
    again = atlas.project(others(made), name="others", model="no:network")  # would fail, were it asked for
    assert again.facts == first.facts
    less = projected(folder, others(made, without=0))
    assert less.facts["photos"]["used"] == 120
    assert [one.facts["photos"]["used"] for one in less.atlas.projections] == [120]


def test_what_cannot_be_is_one_sentence(made, folder, tmp_path):
    atlas = actatlas.open(folder / "atlas")
    with pytest.raises(LayerNotFound, match="third"):
        atlas.project(others(made), layers=["third"])
    with pytest.raises(TooFewImages, match="holds 2 images"):
        atlas.project(others(made)[:2])
    with pytest.raises(UsageError, match="letter or digit"):
        projected(folder, others(made), name="…")
    with pytest.raises(UnfinishedAtlas, match="carries no activations"):
        actatlas.open_demo().project(others(made))
    other = small_network()
    with np.errstate(all="ignore"):
        other.module[0].weight.data.add_(1)
    fresh = actatlas.load_network(other.module, preprocessing=other.preprocessing, labels=other.labels)
    with pytest.raises(PlanChanged, match="other weights"):
        atlas.project(others(made), name="changed", model=fresh)
    assert atlas.files.verify()
    vectors = np.random.default_rng(0).normal(size=(160, 8)).astype(np.float32)
    of_vectors = actatlas.build_from_vectors(
        vectors, sorted((made / "own").glob("*.png")), out=tmp_path / "vectors", grids=[3], progress=False
    )
    with pytest.raises(NetworkError, match="atlas of vectors"):
        of_vectors.project(others(made))


def test_a_grid_with_too_few_activations_a_cell_says_so(made, tmp_path):
    atlas = small_build(sorted((made / "own").glob("*.png"))[:30], tmp_path / "atlas", grids=(8,), layers=("second",))
    found = atlas.project(others(made), model=small_network())
    grid = found.atlas.layer("second").grid(8)
    assert "reach" not in found.cells(grid)
    assert "too few activations a cell" in found.told(grid)[-1]
    assert draw_projection(found, grid).width > 1000


def test_a_projection_that_was_killed_goes_on_to_the_same(made, folder, tmp_path):
    """Killed when the first of its shards is there."""
    script = (
        "import sys, actatlas\n"
        "from actatlas.testing.small import small_network\n"
        "atlas = actatlas.open(sys.argv[1])\n"
        "atlas.project(sys.argv[2:], name='others', model=small_network())\n"
    )
    shutil.copytree(folder / "atlas", tmp_path / "killed")
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "killed"), *others(made)])
    while child.poll() is None and not list((tmp_path / "killed" / "projections").glob(".*/shards/00000.json")):
        time.sleep(0.005)
    was_running = child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert was_running, "it was quicker than the test: nothing was interrupted"
    assert actatlas.open(tmp_path / "killed").is_finished  # the atlas was not touched
    whole = projected(folder, others(made))
    atlas = actatlas.open(tmp_path / "killed")
    resumed = atlas.project(others(made), name="others", model=small_network())
    assert resumed.facts["layers"] == whole.facts["layers"]
    for path in whole.atlas.files.committed("projections/"):
        if not path.endswith("projection.json"):
            assert resumed.atlas.files.was(path) == whole.atlas.files.was(path), path


def test_facts_and_the_page_s_share_are_as_their_schemas_say(made, folder, tmp_path):
    found = projected(folder, others(made, without=2))
    schema = json.loads((ROOT / "docs/schema/projection.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(found.facts)
    shown = {"patches": set(), "none": set()}
    for examples, files in shown.items():
        write_site(
            found.atlas, tmp_path / examples, writer(files, tmp_path / examples), settings=SiteSettings(examples)
        )
    value = json.loads((tmp_path / "patches" / "projections.js").read_text().partition(",")[2].rstrip()[:-2])
    schema = json.loads((ROOT / "docs/schema/site-projections.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(value)
    assert value[0]["layers"][0]["unreached"]
    pictures = [name for name in shown["patches"] if name.startswith("projections/")]
    assert sorted(pictures) == sorted(patch["picture"] for patch in value[0]["layers"][0]["patches"])
    assert not [name for name in shown["none"] if name.startswith("projections/")]


def writer(names: set[str], root: Path):
    def write(path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        names.add(path.relative_to(root).as_posix())

    return write


def test_the_command_tells_draws_and_gives_json(small_atlas, drawn_photos, tmp_path, capsys):
    atlas = tmp_path / "atlas"
    shutil.copytree(small_atlas, atlas)
    picture = tmp_path / "picture.png"
    command = ["project", str(atlas), str(drawn_photos), "--layer", "blocks.9.expanded", "-o", str(picture)]
    assert main([*command, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["picture"] == str(picture) and value["photos"]["used"] == 24
    assert list(value["layers"]) == ["blocks.9.expanded"] and value["name"] == drawn_photos.name
    with Image.open(picture) as drawn:
        assert np.asarray(drawn.convert("L")).std() > 20
    assert main(command) == 0  # as it was made: told again
    assert "of the atlas's own" in capsys.readouterr().out
    assert main(["project", str(atlas), str(tmp_path / "nowhere")]) == 3
    assert "nowhere" in capsys.readouterr().err
    assert AtlasFolder.existing(atlas).verify()


def test_a_photo_whose_name_is_no_utf_8_is_listed_by_it(made, folder, tmp_path):
    strange = tmp_path / os.fsdecode(b"caf\xe9.png")
    shutil.copy(others(made)[0], strange)
    found = projected(folder, [*others(made)[:20], str(strange)])
    assert str(strange) in found.images["path"].tolist()
    assert found.images["id"].tolist() == list(range(21))
