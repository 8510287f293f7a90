"""What only layouts of many activations do: a search that leaves out photos, landmarks, all threads."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numba
import numpy as np
import pytest
from tests.layout.test_layout import Heard, clustered, neighbour_accuracy, placed

from actatlas.errors import UsageError
from actatlas.layout import LayoutSettings, lay_out
from actatlas.layout.neighbours import (
    _fuzzy,
    _fuzzy_of_many,
    _nearest_piece_by_piece,
    nearest_among,
    neighbour_graph,
    unit_rows,
)
from actatlas.layout.search import Rows, nearest_of_other_photos
from actatlas.progress import Silent

MANY = LayoutSettings(method="landmarks", align=False, epochs=100)


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch):
    monkeypatch.setattr("actatlas.layout.landmarks.FEW", 100)


def test_the_search_finds_nearly_all_of_the_nearest_and_none_of_the_own_photo():
    vectors, image_ids, _ = clustered(photos=1000, per_photo=6)
    unit = unit_rows(vectors["layer0"])
    truth, true_distances = nearest_among(unit, image_ids, unit, image_ids, 15)
    found, distances = nearest_of_other_photos(Rows(vectors["layer0"]), image_ids, 15, seed=0)
    assert (image_ids[found] != image_ids[:, None]).all()
    shared = [len(np.intersect1d(a, b)) for a, b in zip(truth, found, strict=True)]
    assert np.mean(shared) > 0.95 * 15
    assert (np.diff(distances, axis=1) >= 0).all()
    is_same = found == truth
    np.testing.assert_allclose(distances[is_same], true_distances[is_same], atol=5e-4)


def test_the_search_takes_rows_of_zeros_for_one_another_as_comparing_all_does(monkeypatch):
    vectors, image_ids, _ = clustered(photos=300)
    rows = vectors["layer0"].copy()
    is_zero = np.arange(len(rows)) % 7 == 0
    rows[is_zero] = 0
    monkeypatch.setattr("actatlas.layout.neighbours._EXACT_ROWS", 100)
    graph, _ = neighbour_graph(rows, image_ids, 10, 0, lambda count: None)
    edges = graph.tocoo()
    assert (is_zero[edges.row] == is_zero[edges.col]).all()


def test_what_is_compared_piece_by_piece_is_the_same(monkeypatch):
    vectors, image_ids, _ = clustered(photos=300)
    rows = vectors["layer0"].copy()
    rows[::7] = 0
    asked = np.arange(0, len(rows), 3)
    unit = unit_rows(rows)
    _, distances = nearest_among(unit, image_ids, unit[asked], image_ids[asked], 10)
    monkeypatch.setattr("actatlas.layout.neighbours._EXACT_ROWS", 128)
    found, found_distances = _nearest_piece_by_piece(Rows(rows), image_ids, asked, 10)
    np.testing.assert_allclose(found_distances, distances, atol=1e-6)
    cosines = np.einsum("nkc,nc->nk", unit[found], unit[asked])
    np.testing.assert_allclose(1 - cosines, distances, atol=1e-5)
    assert (image_ids[found] != image_ids[asked][:, None]).all()


@pytest.mark.parametrize("align", [False, True])
def test_the_number_of_threads_changes_nothing(align):
    vectors, image_ids, _ = clustered(layers=2, photos=300)
    settings, before = replace(MANY, align=align), numba.get_num_threads()
    try:
        found = []
        for threads in (1, max(before, 1)):
            numba.set_num_threads(threads)
            found.append(lay_out(vectors, image_ids, settings, Silent()))
    finally:
        numba.set_num_threads(before)
    for layer in vectors:
        np.testing.assert_array_equal(found[0][layer].points, found[1][layer].points)


def test_a_layout_leaves_torch_its_number_of_threads_whatever_numba_was_told_late():
    code = """
import os
import numba
import numpy as np
import torch
from actatlas.layout import LayoutSettings, lay_out
from actatlas.progress import Silent

os.environ["NUMBA_NUM_THREADS"] = "1"  # once its threads have begun, numba refuses to compile with another number
vectors = {"layer": np.random.default_rng(0).normal(size=(90, 8)).astype(np.float16)}
lay_out(vectors, np.arange(90) // 3, LayoutSettings(), Silent())
print(torch.get_num_threads())
"""
    variables = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=240)
    assert done.stdout.split() == ["1"], done.stderr


def test_points_are_the_same_whether_the_code_was_just_compiled_or_kept(tmp_path):
    code = """
import hashlib
import numpy as np, scipy.sparse
from actatlas.layout.crowd import Crowd
from actatlas.layout.embedding import Curve
random = np.random.default_rng(0)
graph = scipy.sparse.random(3000, 3000, density=0.004, random_state=1, format="csr", dtype=np.float32)
graph = (graph + graph.T).tocsr()
crowd, points = Crowd(graph, Curve.fitted(0.05), 3), (random.random((3000, 2)) * 10).astype(np.float32)
for epoch in range(60):
    crowd.run(points, epoch, 0.3)
print(hashlib.sha256(points.tobytes()).hexdigest())
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    run = partial(subprocess.check_output, [sys.executable, "-c", code], env=environment)
    assert run() == run()


@pytest.mark.parametrize("align", [False, True])
def test_landmarks_keep_classes_together(align):
    vectors, image_ids, labels = clustered(layers=2, photos=300)
    by_chance = neighbour_accuracy(np.random.default_rng(0).random((len(labels), 2)), labels, image_ids)
    layouts = lay_out(vectors, image_ids, replace(MANY, align=align), Silent())
    everybody = lay_out(vectors, image_ids, replace(MANY, method="umap", align=align), Silent())
    for layer, layout in layouts.items():
        ok = layout.is_placed
        kept = neighbour_accuracy(placed(layout), labels[ok], image_ids[ok])
        whole = everybody[layer]
        on_map = whole.is_placed
        whole_kept = neighbour_accuracy(placed(whole), labels[on_map], image_ids[on_map])
        assert kept - by_chance > 0.9 * (whole_kept - by_chance)


@pytest.mark.parametrize(("few", "way"), [(100, "landmarks"), (10_000, "umap")])
def test_without_a_name_many_are_laid_out_from_landmarks_and_few_all_at_once(few, way, monkeypatch):
    monkeypatch.setattr("actatlas.layout.landmarks.FEW", few)
    vectors, image_ids, _ = clustered(layers=2, photos=200)
    found, named = (lay_out(vectors, image_ids, LayoutSettings(method=m, epochs=20), Silent()) for m in (None, way))
    for layer in vectors:
        np.testing.assert_array_equal(found[layer].points, named[layer].points)


def test_the_graph_of_many_is_umaps():
    vectors, image_ids, _ = clustered(photos=200)
    unit = unit_rows(vectors["layer0"])
    indices, distances = nearest_among(unit, image_ids, unit, image_ids, 15)
    asked = indices.copy()
    difference = abs(_fuzzy(indices, distances) - _fuzzy_of_many(indices, distances))
    assert difference.max() < 1e-3
    np.testing.assert_array_equal(indices, asked)


@pytest.mark.parametrize("kind", ["equal", "islands", "half doubled", "zeros", "few photos"])
def test_what_cannot_be_laid_out_well_is_finite(kind, monkeypatch):
    monkeypatch.setattr("actatlas.layout.neighbours._EXACT_ROWS", 100)
    monkeypatch.setattr("actatlas.layout.neighbours._UMAP_ROWS", 100)
    vectors, image_ids, _ = clustered(photos=200)
    rows = vectors["layer0"]
    if kind == "equal":
        rows = np.ones_like(rows)
    elif kind == "islands":
        rows = np.hstack([rows, np.zeros_like(rows)])
        rows[::2] = np.roll(rows[::2], 24, axis=1)
    elif kind == "half doubled":
        rows[1::2] = rows[::2]
    elif kind == "zeros":
        rows[: len(rows) // 2] = 0
    else:
        image_ids = image_ids % 2
    heard = Heard()
    points = lay_out({"a": rows}, image_ids, MANY, heard)["a"].points
    assert np.isfinite(points[~np.isnan(points).any(axis=1)]).all()
    assert (~np.isnan(points).any(axis=1)).mean() > 0.9
    if kind in ("equal", "islands"):
        assert heard.words


def test_layers_by_t_sne_have_maps_of_their_own_and_say_so():
    vectors, image_ids, _ = clustered(layers=2, photos=40)
    heard = Heard()
    layouts = lay_out(vectors, image_ids, LayoutSettings(method="tsne"), heard)
    assert any("each layer has a map of its own" in said for said in heard.words)
    assert all(layout.is_placed.mean() > 0.9 for layout in layouts.values())


def test_a_layout_that_nobody_brings_is_refused_by_name():
    with pytest.raises(
        UsageError, match='layout "tsn" is not known; choose umap, landmarks, tsne, torchdr, cuml, or install'
    ):
        LayoutSettings(method="tsn")
