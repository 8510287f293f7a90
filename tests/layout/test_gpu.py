"""Layouts by libraries for GPUs. TorchDR runs on the processor too; cuML only where there is an NVIDIA GPU."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from tests.layout.test_layout import Heard, clustered, neighbour_accuracy

from actatlas.errors import MissingExtra, UsageError
from actatlas.layout import LayoutSettings, lay_out
from actatlas.progress import Silent

needs_cuml = pytest.mark.skipif(importlib.util.find_spec("cuml") is None, reason="no GPU: cuML is not installed")
LIBRARIES = ["torchdr", pytest.param("cuml", marks=needs_cuml)]


def points_by(name: str, seed: int = 3, **kind: int) -> np.ndarray:
    vectors, image_ids, _ = clustered(**kind)
    return lay_out(vectors, image_ids, LayoutSettings(method=name, seed=seed), Silent())["layer0"].points


@pytest.mark.parametrize("name", LIBRARIES)
def test_classes_stay_together_and_photos_do_not(name):
    _, image_ids, labels = clustered()
    points = points_by(name)
    kept = ~np.isnan(points).any(axis=1)
    assert kept.mean() > 0.95
    assert neighbour_accuracy(points[kept], labels[kept], image_ids[kept]) > 0.8  # by chance below 0.3
    distance = np.linalg.norm(points[kept, None] - points[None, kept], axis=2)
    np.fill_diagonal(distance, np.inf)
    is_own = image_ids[kept][distance.argmin(axis=1)] == image_ids[kept]
    assert is_own.mean() < 0.4  # with its own photo in the graph 0.56


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_seed_gives_the_same_map_and_nobody_elses_numbers_change(name):
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(3), np.random.random(3)
    torch.manual_seed(1)
    np.random.seed(1)
    first, again, other = (points_by(name, seed, photos=60) for seed in (3, 3, 4))
    assert (torch.rand(3) == expected[0]).all() and (np.random.random(3) == expected[1]).all()
    assert np.array_equal(first, again, equal_nan=True) and not np.array_equal(first, other, equal_nan=True)


@pytest.mark.parametrize("kind", ["equal", "zeros", "islands", "one photo", "few"])
def test_what_cannot_be_laid_out_well_gives_finite_points_all_the_same(kind):
    vectors, image_ids, labels = clustered(photos=60)
    rows = vectors["layer0"]
    if kind == "equal":
        rows[:] = rows[0]
    elif kind == "zeros":
        rows[:] = 0
    elif kind == "islands":
        rows[labels < 4, :12] = rows[labels >= 4, 12:] = 0
    elif kind == "one photo":
        image_ids = np.zeros_like(image_ids)
    else:
        rows, image_ids = rows[:5], image_ids[:5]
    heard = Heard()
    points = lay_out({"a": rows}, image_ids, LayoutSettings(method="torchdr"), heard)["a"].points
    is_placed = ~np.isnan(points).any(axis=1)
    assert is_placed.mean() > 0.9 and ((points[is_placed] >= 0) & (points[is_placed] <= 1)).all()
    assert heard.words or kind == "islands"


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory\nmore"), ImportError("libcuda.so.1")])
def test_a_library_that_fails_is_told_in_a_sentence(monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("actatlas.layout.gpu._by_torchdr", fail)
    with pytest.raises(
        UsageError, match=r"layout torchdr of layer0: the library fails \(.*(memory|libcuda.so.1)\); mend"
    ):
        points_by("torchdr")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        (
            "torchdr",
            MissingExtra,
            r'needs torchdr, which is not installed; install it: pip install "actatlas\[torchdr\]"',
        ),
        ("tsne", MissingExtra, r'needs openTSNE, which is not installed; install it: pip install "actatlas\[tsne\]"'),
        ("cuml", UsageError, r"needs RAPIDS cuML and an NVIDIA GPU"),
    ],
)
def test_a_library_that_is_not_there_is_told_before_anything_is_collected(monkeypatch, name, error, said):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(error, match=said):
        LayoutSettings(method=name)
