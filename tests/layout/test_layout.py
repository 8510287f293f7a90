"""What a layout keeps, and what it does with data that cannot be laid out well."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from actatlas.errors import UsageError
from actatlas.layout import LayoutSettings, lay_out
from actatlas.layout.flow import framed
from actatlas.layout.neighbours import neighbour_graph
from actatlas.progress import Silent

ALONE = LayoutSettings(align=False, epochs=60)


class Heard(Silent):
    """Keeps what was said."""

    def __init__(self):
        self.words: list[str] = []

    def say(self, message: str) -> None:
        self.words.append(message)


def clustered(layers: int = 1, classes: int = 8, photos: int = 160, per_photo: int = 4, seed: int = 0):
    """Layers with the same classes, in other directions in each; an activation is nearest to its own photo's."""
    random = np.random.default_rng(seed)
    image_ids = np.repeat(np.arange(photos), per_photo)
    labels = image_ids % classes
    vectors = {}
    for layer in range(layers):
        kinds = random.gamma(0.5, 1.0, (classes, 24))
        of_photo = random.gamma(0.5, 0.6, (photos, 24))
        noise = random.gamma(0.5, 0.2, (len(labels), 24))
        vectors[f"layer{layer}"] = (kinds[labels] + of_photo[image_ids] + noise).astype(np.float16)
    return vectors, image_ids, labels


def neighbour_accuracy(points: np.ndarray, labels: np.ndarray, image_ids: np.ndarray, k: int = 5) -> float:
    """Share of activations whose class is the commonest among the k nearest points of other photos."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    distance[image_ids[:, None] == image_ids[None]] = np.inf
    nearest = labels[np.argsort(distance, axis=1)[:, :k]]
    return float(np.mean([np.bincount(row).argmax() == label for row, label in zip(nearest, labels, strict=True)]))


def placed(layout):
    return layout.points[layout.is_placed]


@pytest.mark.parametrize("align", [False, True])
def test_a_layout_keeps_classes_together(align):
    vectors, image_ids, labels = clustered(layers=2)
    random = np.random.default_rng(0).random((len(labels), 2))
    before = neighbour_accuracy(random, labels, image_ids)
    for layout in lay_out(vectors, image_ids, replace(ALONE, align=align, epochs=100), Silent()).values():
        kept = layout.is_placed
        after = neighbour_accuracy(layout.points[kept], labels[kept], image_ids[kept])
        assert kept.mean() > 0.95
        assert before < 0.3 and after > 0.8


@pytest.mark.parametrize("align", [False, True])
def test_a_seed_gives_the_same_bytes_again_and_another_seed_another_map(align):
    vectors, image_ids, _ = clustered(layers=2, photos=60)
    settings = replace(ALONE, align=align)
    first, again, other = (
        lay_out(vectors, image_ids, s, Silent()) for s in (settings, settings, replace(settings, seed=1))
    )
    for layer in vectors:
        assert first[layer].points.tobytes() == again[layer].points.tobytes()
        assert first[layer].points.tobytes() != other[layer].points.tobytes()


def test_a_layer_laid_out_alone_does_not_depend_on_the_others():
    vectors, image_ids, _ = clustered(layers=2, photos=60)
    together = lay_out(vectors, image_ids, ALONE, Silent())
    alone = lay_out({"layer1": vectors["layer1"]}, image_ids, ALONE, Silent())
    assert together["layer1"].points.tobytes() == alone["layer1"].points.tobytes()


def test_cells_do_not_depend_on_the_precision_that_they_are_computed_in():
    vectors, image_ids, _ = clustered()
    points = placed(lay_out(vectors, image_ids, ALONE, Silent())["layer0"])
    assert points.dtype == np.float32
    raw = np.random.default_rng(0).random(points.shape).astype(np.float32)
    differ = 0
    for side in range(2, 321):
        np.testing.assert_array_equal(points * side, points.astype(np.float64) * side)
        differ += int((raw * side != raw.astype(np.float64) * side).sum())
    assert differ > 0


def test_the_map_spans_the_percentiles_and_a_margin():
    x = np.stack([np.linspace(0, 100, 1001), np.linspace(0, 5, 1001)], axis=1)
    x[0], x[-1] = -1000, 1000
    points = framed(x, cut_percentile=1.0, margin=0.1).points
    assert np.flatnonzero(np.isnan(points).any(axis=1)).tolist() == [0, 1000]
    # 1 → 0.1 / 1.2 and 99 → 1.1 / 1.2, on either axis
    np.testing.assert_allclose(points[10], 0.1 / 1.2, atol=1e-3)
    np.testing.assert_allclose(points[990], 1.1 / 1.2, atol=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("align", [False, True])
def test_a_handful_of_activations_is_laid_out_and_said(count, align):
    random = np.random.default_rng(count)
    vectors = {layer: random.random((count, 6)).astype(np.float16) for layer in ("a", "b")}
    heard = Heard()
    layouts = lay_out(vectors, np.arange(count), replace(ALONE, align=align), heard)
    for layout in layouts.values():
        assert len(placed(layout)) == count
        assert len(np.unique(layout.points, axis=0)) == count
    assert any(
        "one activation" in w if count == 1 else f"{count - 1} neighbours instead of 20" in w for w in heard.words
    )


DEGENERATE = {
    "identical": (np.ones((50, 6)), np.arange(50), "50 of 50 activations have only neighbours that equal them"),
    "zero": (np.zeros((50, 6)), np.arange(50), "50 of 50 activations have only neighbours that equal them"),
    "one photo": (np.random.default_rng(0).random((50, 6)), np.zeros(50), "all activations are of one photo"),
    "islands": (
        np.kron(np.eye(3), np.ones((40, 1))) + np.random.default_rng(0).random((120, 3)) / 100,
        np.arange(120),
        "3 separate islands",
    ),
    "many islands": (np.kron(np.eye(9), np.ones((30, 1))), np.arange(270), "9 separate islands"),
    "two photos": (np.random.default_rng(0).random((30, 6)), np.arange(30) // 25, "5 neighbours instead of 20"),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("align", [False, True])
def test_data_without_a_map_in_them_still_give_points_and_a_word(name, align):
    vectors, image_ids, word = DEGENERATE[name]
    heard = Heard()
    layouts = lay_out(
        {"a": vectors.astype(np.float16), "b": vectors.astype(np.float16)},
        image_ids,
        replace(ALONE, align=align),
        heard,
    )
    for layout in layouts.values():
        assert layout.is_placed.mean() > 0.7
        assert len(np.unique(placed(layout), axis=0)) > len(vectors) // 2
    assert any(word in said for said in heard.words), heard.words


def test_exact_duplicates_lie_together():
    vectors, image_ids, _ = clustered(photos=160, per_photo=1)
    doubled = np.concatenate([vectors["layer0"]] * 2)
    layout = lay_out({"a": doubled}, np.arange(320), ALONE, Silent())["a"]
    twin, points = np.roll(np.arange(320), 160), layout.points
    both = layout.is_placed & layout.is_placed[twin]
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    nearer = (distances < distances[np.arange(320), twin][:, None]).sum(axis=1)[both] - 1  # without the point itself
    # Points are spread over the map, so a twin lies beside: by chance 160 would be nearer, and one in sixteen in 20.
    assert both.sum() > 250 and np.median(nearer) <= 8 and (nearer < 20).mean() >= 0.75


def test_settings_and_rows_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="neighbors must be at least 1, not 0"):
        LayoutSettings(neighbors=0)
    with pytest.raises(UsageError, match="pull must be from 0 to 1, not 2"):
        LayoutSettings(pull=2)
    with pytest.raises(ValueError, match="layers share rows: 3 image ids, but 2 vectors of b"):
        lay_out({"b": np.ones((2, 4), np.float16)}, np.arange(3), LayoutSettings(), Silent())


def test_one_layer_at_a_time_is_in_memory():
    class Read(Mapping):
        """Layers that are read when they are asked for."""

        def __init__(self, stored):
            self.stored, self.handed_out = stored, []

        def __iter__(self):
            return iter(self.stored)

        def __len__(self):
            return len(self.stored)

        def __getitem__(self, name):
            assert not any(rows() is not None for rows in self.handed_out), f"{name} is read beside another layer"
            rows = self.stored[name].copy()
            self.handed_out.append(weakref.ref(rows))
            return rows

    vectors, image_ids, _ = clustered(photos=160, per_photo=1)
    layers = Read({"a": vectors["layer0"], "b": vectors["layer0"], "c": vectors["layer0"]})
    lay_out(layers, image_ids, LayoutSettings(), Silent())
    assert len(layers.handed_out) >= 3


def test_edges_between_activations_of_one_photo_are_left_out():
    vectors, image_ids, _ = clustered()
    left_out, _ = neighbour_graph(vectors["layer0"], image_ids, 10, 0, lambda count: None)
    left_in, _ = neighbour_graph(vectors["layer0"], np.arange(len(image_ids)), 10, 0, lambda count: None)

    def own_share(graph):
        edges = graph.tocoo()
        return float((image_ids[edges.row] == image_ids[edges.col]).mean())

    assert own_share(left_in) > 0.1 and own_share(left_out) == 0


def test_the_approximate_neighbours_of_many_activations_are_nearly_the_exact_ones(monkeypatch):
    vectors, image_ids, _ = clustered(photos=400)
    exact, _ = neighbour_graph(vectors["layer0"], image_ids, 10, 0, lambda count: None)
    monkeypatch.setattr("actatlas.layout.neighbours._EXACT_ROWS", 100)
    near, _ = neighbour_graph(vectors["layer0"], image_ids, 10, 0, lambda count: None)
    again, _ = neighbour_graph(vectors["layer0"], image_ids, 10, 0, lambda count: None)
    edges = near.tocoo()
    assert (image_ids[edges.row] == image_ids[edges.col]).sum() == 0
    assert exact.minimum(near).nnz > 0.95 * exact.nnz
    assert (near != again).nnz == 0


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("method", ["umap", "landmarks", "tsne"])
def test_data_without_a_map_in_them_are_laid_out_alike_each_time_with_the_same_word(name, method):
    vectors, image_ids, word = DEGENERATE[name]
    heard = Heard()
    first, second = (
        lay_out({"a": vectors.astype(np.float16)}, image_ids, LayoutSettings(method=method), heard)["a"]
        for _ in range(2)
    )
    assert np.array_equal(first.points, second.points, equal_nan=True)
    assert sum(word in said for said in heard.words) == 2
