"""Photos of Hugging Face's datasets, without a connection: saved to disk, folders, Parquet, and streams of these."""

import pickle
from pathlib import Path

import datasets
import numpy as np
import pytest

from actatlas.collect.sampling import order_of
from actatlas.errors import NoImages, OutOfReach, UnreadableImage
from actatlas.images import open_source, read_photo
from actatlas.testing import ImageSourceContract


@pytest.fixture(autouse=True)
def _quiet(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def rows(files) -> datasets.Dataset:
    features = datasets.Features({
        "image": datasets.Image(), "kind": datasets.ClassLabel(names=["red fox", "ball"]),
        "note": datasets.Value("string"), "boxes": datasets.Sequence(datasets.Value("int64")),
    })  # fmt: skip
    return datasets.Dataset.from_dict(
        {
            "image": [{"bytes": file.read_bytes(), "path": file.name} for file in files],
            "kind": [number % 2 for number in range(24)],
            "note": [None if number == 3 else f"note {number}" for number in range(24)],
            "boxes": [[1, 2]] * 24,
        },
        features=features,
    )


@pytest.fixture
def saved(rows, tmp_path) -> Path:
    rows.save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


class TestSaved(ImageSourceContract):
    @pytest.fixture(autouse=True)
    def _saved(self, saved):
        self.saved = saved

    def make(self):
        return f"hf-dataset:{self.saved}"


class TestStreamed(TestSaved):
    def make(self):
        return f"hf-dataset:{self.saved}?streaming=true"


def test_a_saved_dataset_has_its_photos_and_the_names_of_its_classes(saved, files):
    source = open_source(f"hf-dataset:{saved}?label=kind")
    assert source.column_names == ("label", "note") and len(source.records) == 24
    assert source.records[5].columns == {"label": "ball", "note": "note 5"}
    assert source.records[3].columns == {"label": "ball", "note": ""}
    assert all(np.array_equal(source.read(number), read_photo(files[number])) for number in (0, 7, 23))
    assert open_source(f"hf-dataset:{saved}").column_names == ("kind", "note")
    assert len(open_source(f"hf-dataset:{saved}?limit=5").records) == 5


@pytest.mark.parametrize("streaming", ["true", "false"])
def test_folders_of_parquet_and_of_images_are_datasets_too(rows, tmp_path, files, streaming):
    (tmp_path / "parquet").mkdir()
    rows.to_parquet(tmp_path / "parquet" / "train-0.parquet")
    source = open_source(f"hf-dataset:{tmp_path}/parquet?streaming={streaming}")
    assert [record.columns["kind"] for record in source.records[:2]] == ["red fox", "ball"]
    assert all(np.array_equal(source.read(number), read_photo(files[number])) for number in (0, 7, 23))
    for number, file in enumerate(files[:6]):
        home = tmp_path / "images" / ["cat", "dog"][number % 2]
        home.mkdir(parents=True, exist_ok=True)
        (home / file.name).write_bytes(file.read_bytes())
    source = open_source(f"hf-dataset:{tmp_path}/images?streaming={streaming}")
    assert [record.columns["label"] for record in source.records] == ["cat"] * 3 + ["dog"] * 3
    assert np.array_equal(source.read(3), read_photo(files[1]))


def test_a_stream_is_gone_through_in_its_order_a_few_blocks_at_a_time(saved, files, monkeypatch):
    monkeypatch.setattr("actatlas.images.hf_datasets._BLOCK_PHOTOS", 4)
    source = open_source(f"hf-dataset:{saved}?streaming=true")
    begun = []
    iterate = source._rows.iter
    source._rows.iter = lambda **how: begun.append(1) or iterate(**how)
    order = order_of(source, 2).tolist()
    assert [sorted(order[k : k + 8]) for k in (0, 8, 16)] == [list(range(k, k + 8)) for k in (0, 8, 16)]
    assert order[:8] != list(range(8))
    for number in order:
        assert np.array_equal(source.read(number), read_photo(files[number]))
    assert len(begun) == 1, "one pass"
    assert np.array_equal(source.read(0), read_photo(files[0])) and len(begun) == 2
    del source._rows.iter
    again = pickle.loads(pickle.dumps(source))
    assert np.array_equal(again.read(9), read_photo(files[9]))


def test_a_stream_that_breaks_is_begun_anew_and_no_photo_is_left_out_for_it(saved, files, monkeypatch):
    monkeypatch.setattr("actatlas.images.hf_datasets._BLOCK_PHOTOS", 4)
    source = open_source(f"hf-dataset:{saved}?streaming=true")
    iterate, is_broken = source._rows.iter, True

    def broken(**how):
        for number, batch in enumerate(iterate(**how)):
            if number == 2 and is_broken:
                raise ConnectionError("the hub went away")
            yield batch

    source._rows.iter = broken
    assert np.array_equal(source.read(5), read_photo(files[5]))
    for _ in range(2):
        with pytest.raises(OutOfReach, match="row 9 of the dataset .*the hub went away.*run the command again"):
            source.read(9)
    is_broken = False
    assert np.array_equal(source.read(9), read_photo(files[9]))
    assert np.array_equal(source.read(3), read_photo(files[3]))


@pytest.mark.parametrize("streaming", ["true", "false"])
def test_a_photo_that_cannot_be_read_is_skipped_and_does_not_end_the_dataset(tmp_path, files, streaming):
    good = {"bytes": files[0].read_bytes(), "path": None}
    rows = datasets.Dataset.from_dict(
        {"image": [good, {"bytes": b"none", "path": None}, None, good]},
        features=datasets.Features({"image": datasets.Image()}),
    )
    rows.save_to_disk(tmp_path / "saved")
    source = open_source(f"hf-dataset:{tmp_path}/saved?streaming={streaming}")
    for number, reason in ((1, "not a JPEG"), (2, "no bytes")):
        with pytest.raises(UnreadableImage, match=reason):
            source.read(number)
    assert np.array_equal(source.read(3), read_photo(files[0]))


def test_what_cannot_be_is_one_sentence(saved, tmp_path, rows):
    for options, message in (
        ("column=note", r"note is no column of images; columns: image \(Image\), kind \(ClassLabel\)"),
        ("label=boxes", "boxes is no column of plain values"), ("limit=none", "limit is a number"),
        ("streaming=yes", "true or false"), ("colour=red", "no option colour"),
    ):  # fmt: skip
        with pytest.raises(NoImages, match=message):
            open_source(f"hf-dataset:{saved}?{options}")
    datasets.DatasetDict({"validation": rows, "test": rows}).save_to_disk(tmp_path / "splits")
    with pytest.raises(NoImages, match=r"has several splits; name one: \?split="):
        open_source(f"hf-dataset:{tmp_path}/splits")
    assert len(open_source(f"hf-dataset:{tmp_path}/splits?split=test").records) == 24
    with pytest.raises(NoImages, match=r"nobody/nothing cannot be had .*check the name") as caught:
        open_source("hf-dataset:nobody/nothing")
    assert "\n" not in str(caught.value)
    rows.remove_columns("image").save_to_disk(tmp_path / "without")
    with pytest.raises(NoImages, match="has no column of images"):
        open_source(f"hf-dataset:{tmp_path}/without")
