"""Architectures of many kinds, weights seeded: a tiny atlas of each, from photos to page. `make matrix` runs it.

Figures of larger ones, and of all architectures: benchmarks/networks.py, docs/networks.md.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import actatlas
from actatlas import pipeline
from actatlas.api import build_settings, collect_settings, layout_settings
from actatlas.images import open_source
from actatlas.inversion import InversionSettings, measure_icons, paired_cosines
from actatlas.progress import Silent
from actatlas.store import AtlasFolder

ROOT = Path(__file__).resolve().parent.parent.parent


def _benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_networks", ROOT / "benchmarks" / "networks.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bench = _benchmark()
# Those that take longest: their rows in docs/networks.md stand for them.
SLOW = (
    "vgg11", "res2net50_14w_8s", "dla34", "hrnet_w18_small", "densenet121", "inception_v3", "efficientformer_l1",
    "vit_wee_patch16_reg1_gap_256", "swinv2_tiny_window8_256", "coatnet_pico_rw_224", "maxvit_pico_rw_256",
)  # fmt: skip
SPECS = [s for s in bench.ARCHITECTURES if s.partition(":")[2].partition("?")[0].removesuffix("@none") not in SLOW]
ICONS = InversionSettings(
    size_px=64, steps=(12, 4), repeats=(), first_count=8, likeness=1.0, learning_patches=16, look_every=4, shift_px=0
)
SIDE = 2


def test_the_matrix_has_enough_architectures_of_enough_kinds():
    kinds = {bench.ARCHITECTURES[spec] for spec in SPECS}
    assert len(SPECS) == len(bench.ARCHITECTURES) - len(SLOW) >= 25
    wanted = "plain", "residual", "in-place activations", "MobileNet", "ConvNeXt", "ViT", "Swin", "hybrid"
    assert all(any(want in kind for kind in kinds) for want in wanted)
    assert sum(spec.startswith("torchvision:") for spec in SPECS) >= 5 and len(bench.ARCHITECTURES) >= 40


def test_the_table_says_of_each_row_what_its_figures_lack():
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    lines = page.partition(bench.BEGIN)[2].partition(bench.END)[0].strip().splitlines()[2:]
    rows = [row_of(line) for line in lines]
    assert [bench._line(row) for row in rows] == lines and len(rows) >= 40
    lacking = [row for row in rows if row.is_fixed_size or row.identified < row.cells or row.cosine < bench.WEAK]
    assert [row for row in rows if bench.shortcomings(row)] == lacking and 0 < len(lacking) < len(rows)


def test_what_fails_is_told_in_the_tables_last_column():
    failed = bench.Row("timm:no?pretrained=false", "plain", problem="NetworkError: no such network")
    assert bench._line(failed).endswith("| NetworkError: no such network |")
    row = bench.Row("timm:a", "plain", collects=True, lays_out=True, cells=9, cosine=0.7, identified=7)
    assert bench.shortcomings(row) == ["nothing is attributed", "2 of 9 icons answer more like another cell"]


def row_of(line):
    """A line of the table, without its last column → Row."""
    name, kind, count, layer, form, size, *marks, icons, seconds = [c.strip() for c in line.split("|")[1:-2]]
    spec = next(s for s in bench.ARCHITECTURES if s.partition("?")[0].removesuffix("@none") == name.strip("`"))
    form, shape = form.split(", ")
    identified, cells, cosine = icons.replace(",", "").replace("of ", "").split()
    return bench.Row(
        spec, kind, int(count), layer=layer.strip("`"), form=form, shape=tuple(map(int, shape.split(" × "))),
        is_fixed_size=size == "fixed", collects=marks[0] == "yes", attributes=marks[1] == "yes",
        lays_out=marks[2] == "yes", identified=int(identified), cells=int(cells), cosine=float(cosine),
        seconds=float(seconds),
    )  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_an_architecture_builds_a_tiny_atlas(spec, tmp_path):
    network = bench.load(spec)
    name = bench.chosen_layer(network).name
    collect = collect_settings(0, 2, "patch-replacement", "float32", seed=0)
    settings = build_settings([name], [SIDE], collect, layout_settings(None, False, collect.seed), ICONS)
    pipeline.build(network, open_source(bench.photos()), tmp_path / "atlas", settings, Silent())
    atlas = actatlas.open(tmp_path / "atlas")
    layer = atlas.layer(name)
    grid, vectors = layer.grid(SIDE), layer.activations.vectors.astype(np.float32)

    assert vectors.shape == (2 * bench.PHOTO_COUNT, network.layer(name).shape[0]) and np.isfinite(vectors).all()
    assert vectors.std(axis=0).max() > 0 and len(np.unique(np.round(layer.layout[~np.isnan(layer.layout)], 3))) > 8
    assert np.isfinite(grid.attributions).all() and np.abs(grid.attributions).max() > 0
    assert len(grid) >= 2 and grid.icons.std(axis=(1, 2, 3)).min() > 2

    grey = np.full_like(grid.raw_icons, 118)
    answers = [measure_icons(network, name, pictures) for pictures in (grid.raw_icons, grey)]
    painted, plain = (paired_cosines(answer, grid.means, layer.mean) for answer in answers)
    assert painted.mean() > plain.mean() + 0.1, (painted, plain)
    assert painted == pytest.approx(grid.cosine, abs=0.03)

    assert AtlasFolder.existing(atlas.folder).verify() > 10 and (atlas.folder / "site" / "index.html").is_file()
