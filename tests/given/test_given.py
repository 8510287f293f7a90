"""Vectors of a user's own: what is understood, and the sentence for what is not."""

import numpy as np
import pandas as pd
import pytest

from actatlas.errors import BadVectors, MissingExtra
from actatlas.given import read_columns, take_points, take_vectors
from actatlas.layout import as_given

N, C = 24, 5


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(N, C)).astype(np.float32)


@pytest.fixture
def paths(drawn_photos):
    return np.array([str(path) for path in sorted(drawn_photos.iterdir())])


def taken(table, images=None, **how):
    return take_vectors(*read_columns(table), images, **how)


def test_the_same_vectors_are_read_from_every_kind_of_file(tmp_path, vectors, paths):
    kinds = [f"kind {i % 3}" for i in range(N)]
    np.savez(tmp_path / "a.npz", vectors=vectors, path=paths, cluster=np.array(kinds))
    frame = pd.DataFrame({"path": paths, "cluster": kinds, "embedding": list(vectors)})
    frame.to_parquet(tmp_path / "a.parquet")
    numbered = pd.DataFrame(vectors, columns=[f"v{i}" for i in range(C)])
    pd.concat([frame[["path", "cluster"]], numbered], axis=1).to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.npz", "a.parquet", "a.csv"):
        found = taken(tmp_path / name)
        np.testing.assert_allclose(found.vectors, vectors, rtol=1e-6)
        assert [record.path for record in found.source.records] == paths.tolist()
        assert found.regions.tolist() == kinds and found.region_column == "cluster"


def test_rows_find_their_photos_by_path_id_or_order(drawn_photos, vectors, paths):
    names = [path.rsplit("/", 1)[1] for path in paths]
    turned = np.arange(N)[::-1]
    by_path = taken({"vectors": vectors, "path": np.array(names)[turned]}, drawn_photos)
    by_id = taken({"vectors": vectors, "image_id": turned}, drawn_photos)
    in_order = taken(vectors, drawn_photos)
    assert by_path.image_ids.tolist() == by_id.image_ids.tolist() == turned.tolist()
    assert in_order.image_ids.tolist() == list(range(N))


def test_columns_stay_with_the_photos_where_they_say_one_thing_of_each(vectors, paths):
    table = pd.DataFrame({"path": np.repeat(paths[:12], 2), "year": np.repeat(np.arange(12), 2), "part": [0, 1] * 12})
    found = taken(table.assign(embedding=list(vectors)))
    assert found.source.column_names == ("year",) and found.source.records[3].columns == {"year": "3"}


def test_a_layout_keeps_its_places_or_is_scaled_to_the_map():
    inside = np.array([[0.25, 0.5], [1, 0], [np.nan, 0.5]], np.float32)
    assert np.array_equal(as_given(inside).points[:2], inside[:2]) and not as_given(inside).is_placed[2]
    wide = as_given(np.array([[-40.0, 3], [10, 5], [60, 4]])).points
    assert wide.min() > 0 and wide.max() < 1, "no point is cut off"
    assert (np.diff(wide[:, 0]) > 0).all() and wide[0, 1] < wide[2, 1] < wide[1, 1], "what was left of it stays left"


BAD = {
    "no vectors": (lambda v, p: {"path": p}, "has no vectors"),
    "one number too many": (lambda v, p: {"vectors": v, "path": p[:-1]}, '"path" has 23 rows and the vectors have 24'),
    "NaN": (lambda v, p: {"vectors": np.where(np.arange(N)[:, None] == 7, np.nan, v), "path": p}, "row 7: .* NaN"),
    "text": (lambda v, p: {"vectors": np.full((N, C), "x"), "path": p}, "other than numbers"),
    "one dimension": (lambda v, p: {"vectors": v[:, 0], "path": p}, r"vectors are \(N, C\)"),
    "too large": (lambda v, p: {"vectors": v * 1e6, "path": p}, "scale them below 65,504"),
    "no photos": (lambda v, p: {"vectors": v}, "does not say which photo"),
    "photos gone": (
        lambda v, p: {"vectors": v, "path": np.array([*p[:-1], "gone.jpg"])},
        "row 23: .*gone.jpg does not",
    ),
    "two names": (lambda v, p: {"vectors": v, "embedding": v, "path": p}, "has both"),
    "a layout of three": (lambda v, p: {"vectors": v, "path": p, "layout": v[:, :3]}, r"a layout is \(N, 2\)"),
    "a layout too short": (lambda v, p: {"vectors": v, "path": p, "layout": v[:9, :2]}, "24 vectors and the layout 9"),
    "a layout of infinity": (lambda v, p: {"vectors": v, "path": p, "layout": v[:, :2] / 0}, "infinity"),
    "x of another length": (lambda v, p: {"vectors": v, "path": p, "x": v[:, 0], "y": v[1:, 0]}, "different numbers"),
    "an empty box": (lambda v, p: {"vectors": v, "path": p, "boxes": np.full((N, 4), 0.5)}, "row 0: a box is left"),
    "a box in pixels": (lambda v, p: {"vectors": v, "path": p, "boxes": np.full((N, 4), 50.0)}, "fractions"),
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_is_said_in_one_sentence(kind, vectors, paths):
    make, told = BAD[kind]
    with pytest.raises(BadVectors, match=told) as caught:
        taken(make(vectors, paths))
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_with_photos_of_their_own_the_rows_must_fit_them(drawn_photos, vectors):
    with pytest.raises(BadVectors, match="23 vectors and .* 24 photos"):
        taken(vectors[:-1], drawn_photos)
    with pytest.raises(BadVectors, match="from 0 to 23"):
        taken({"vectors": vectors, "image_id": np.arange(1, N + 1)}, drawn_photos)
    with pytest.raises(BadVectors, match="row 0: else.jpg is none of the 24 photos"):
        taken({"vectors": vectors, "path": np.full(N, "else.jpg")}, drawn_photos)
    with pytest.raises(BadVectors, match='no column "kind" for the regions'):
        taken(vectors, drawn_photos, region_column="kind")


def test_files_that_are_none_are_named(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("1 2 3")
    (tmp_path / "a.npz").write_bytes(b"no zip")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    for name, told in (
        ("gone.npz", "no file"),
        ("a.txt", "is no .npz"),
        ("a.npz", "cannot"),
        ("objects.npy", "objects"),
    ):
        with pytest.raises(BadVectors, match=told):
            read_columns(tmp_path / name)
    with pytest.raises(BadVectors, match="neither columns x and y"):
        take_points({"a": np.zeros(3)}, "points.npz")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"actatlas\[parquet\]"):
        read_columns(tmp_path / "a.parquet")


def test_lists_of_other_lengths_are_refused(paths):
    table = pd.DataFrame({"path": paths, "embedding": [[0.0] * (2 + i % 2) for i in range(N)]})
    with pytest.raises(BadVectors, match="lists of 2 to 3 numbers"):
        taken(table)
