"""Photos in Parquet files: listed with their columns, read by row groups, and what cannot be is one sentence."""

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.images.servers import WebServer

from actatlas.collect.sampling import order_of
from actatlas.errors import ImageError, NoImages, OutOfReach, UnreadableImage
from actatlas.images import open_source, read_photo
from actatlas.testing import ImageSourceContract


def write(path: Path, photos: list[Path], form: str = "struct", rows: int = 5, **columns) -> Path:
    content = [photo.read_bytes() for photo in photos]
    if form == "struct":
        image = [{"bytes": photo, "path": file.name} for photo, file in zip(content, photos, strict=True)]
    else:
        image = content
    table = pa.table({"image": image, **{name: values[: len(photos)] for name, values in columns.items()}})
    if "label" in columns:
        features = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}, "image": {"_type": "Image"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=rows)
    return path


@pytest.fixture
def folder(tmp_path, files) -> Path:
    home = tmp_path / "shards"
    home.mkdir()
    write(home / "train-10.parquet", files[16:], label=[0, 1] * 12, note=["a", None] * 12)
    write(home / "train-9.parquet", files[:16], label=[1, 0] * 12, note=["ü", "x"] * 12)
    return home


class TestParquet(ImageSourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, folder):
        self.folder = folder

    def make(self):
        return self.folder


def test_rows_of_all_files_are_listed_in_natural_order_with_their_columns(folder, files):
    source = open_source(folder)
    assert source.spec == f"parquet:{folder}" and len(source.records) == 24
    assert [record.path for record in source.records[15:17]] == ["train-9.parquet:15", "train-10.parquet:0"]
    assert source.records[0].columns == {"label": "dog", "note": "ü", "file_name": files[0].name}
    assert source.records[17].columns == {"label": "dog", "note": "", "file_name": files[17].name}
    for number in (0, 7, 15, 16, 23):
        assert np.array_equal(source.read(number), read_photo(files[number])), number


@pytest.mark.parametrize("form", ["struct", "bytes"])
def test_a_file_a_pattern_and_a_folder_lead_to_the_same_photos(tmp_path, files, form):
    file = write(tmp_path / "a.parquet", files, form)
    pixels = [np.asarray(open_source(file).read(number)) for number in range(24)]
    for spec in (f"parquet:{file}", f"parquet:{tmp_path}", f"parquet:{tmp_path}/*.parquet",
                 f"parquet:{tmp_path}/{{a,a}}.parquet?column=image"):  # fmt: skip
        source = open_source(spec)
        assert [record.path for record in source.records] == [f"a.parquet:{row}" for row in range(24)]
        assert all(np.array_equal(source.read(number), pixels[number]) for number in (0, 11, 23))


def test_row_groups_are_gone_through_a_few_at_a_time_and_every_photo_once(folder):
    source = open_source(folder)
    assert source.blocks.starts.tolist() == [0, 5, 10, 15, 16, 21]
    order = order_of(source, 3)
    assert sorted(order.tolist()) == list(range(24)) and not np.array_equal(order, order_of(source, 4))
    narrow = type(source.blocks)(source.blocks.starts, at_once=2)
    order = order_of(type("Source", (), {"records": source.records, "blocks": narrow}), 3)
    blocks = [narrow.of(int(i)) for i in order]
    assert sorted(order.tolist()) == list(range(24)) and len(set(blocks[:6])) == 2
    changes = sum(set(blocks[:k]).isdisjoint(blocks[k:]) for k in range(1, 24))
    assert changes == 2, "three groups of two blocks, one after another"


def test_what_is_no_photo_is_skipped_with_its_reason(tmp_path, files):
    content = [files[0].read_bytes(), b"no photo", None, b""]
    pq.write_table(pa.table({"image": content}), tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    assert np.array_equal(source.read(0), read_photo(files[0]))
    for number, reason in ((1, "not a JPEG"), (2, "no bytes"), (3, "empty")):
        with pytest.raises(UnreadableImage, match=reason):
            source.read(number)


def test_files_without_photos_say_which_columns_they_have(tmp_path, files):
    pq.write_table(pa.table({"x": [1], "name": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(NoImages, match=r"no column of images.*x \(int64\), name \(string\)"):
        open_source(tmp_path / "a.parquet")
    content = files[0].read_bytes()
    pq.write_table(pa.table({"left": [content], "right": [content]}), tmp_path / "b.parquet")
    with pytest.raises(NoImages, match=r"several columns of bytes: left, right; name one: .*\?column=left"):
        open_source(tmp_path / "b.parquet")
    assert len(open_source(f"parquet:{tmp_path}/b.parquet?column=right").records) == 1
    with pytest.raises(NoImages, match="x is no column of images"):
        open_source(f"parquet:{tmp_path}/b.parquet?column=x")
    with pytest.raises(NoImages, match="no option colour"):
        open_source(f"parquet:{tmp_path}/b.parquet?colour=x")


def test_a_torn_file_and_a_missing_one_are_named(folder):
    whole = (folder / "train-9.parquet").read_bytes()
    (folder / "train-9.parquet").write_bytes(whole[:-100])
    with pytest.raises(ImageError, match=r"train-9.parquet is no whole Parquet file"):
        open_source(folder)
    with pytest.raises(NoImages, match=r"train-11.parquet does not exist; of 3 shards 1 are missing"):
        open_source(f"parquet:{folder}/train-{{9..11}}.parquet")
    (folder / "none").mkdir()
    with pytest.raises(NoImages, match="holds no .parquet"):
        open_source(f"parquet:{folder}/none")


def test_a_source_goes_to_another_process_as_it_is(folder):
    source = open_source(folder)
    source.read(3)
    again = pickle.loads(pickle.dumps(source))
    assert np.array_equal(again.read(3), source.read(3)) and again.records[20] == source.records[20]


def test_another_content_under_the_same_names_is_noticed(tmp_path, files):
    before = open_source(write(tmp_path / "a.parquet", files[:8], rows=4)).content_sha256
    assert open_source(write(tmp_path / "a.parquet", files[:8], rows=4)).content_sha256 == before
    assert open_source(write(tmp_path / "a.parquet", files[:8], rows=2)).content_sha256 != before
    assert open_source(write(tmp_path / "a.parquet", files[1:9], rows=4)).content_sha256 != before


def test_files_on_a_server_are_the_files_on_disk(folder, files):
    local = open_source(folder)
    with WebServer(folder, gives_parts=True) as server:
        source = open_source(f"parquet:{server.url}/train-{{9,10}}.parquet")
        assert list(source.records) == list(local.records) and source.content_sha256 == local.content_sha256
        for number in order_of(source, 1).tolist():
            assert np.array_equal(source.read(number), local.read(number))
        source = open_source(f"{server.url}/train-9.parquet")
        write(folder / "train-9.parquet", files[3:])
        with pytest.raises(UnreadableImage, match="train-9.parquet has changed on its server"):
            source.read(0)
    with (
        WebServer(folder, gives_parts=False) as server,
        pytest.raises(NoImages, match=r"train-10\.parquet is on a server that gives no parts of a file; fetch it"),
    ):
        open_source(f"{server.url}/train-10.parquet")


def test_the_way_to_a_server_that_breaks_costs_no_photo(folder, monkeypatch):
    monkeypatch.setattr("actatlas.images.web.time.sleep", lambda _: None)
    with WebServer(folder, gives_parts=True) as server:
        source = open_source(f"parquet:{server.url}/train-9.parquet")
        expected = open_source(f"parquet:{folder}/train-9.parquet")
        server.refuses = lambda number: 503
        with pytest.raises(OutOfReach, match="train-9.parquet: the server refuses it .503.*run the command again"):
            source.read(0)
        server.refuses, server.cuts = lambda number: None, lambda number: number % 2 == 0
        assert np.array_equal(source.read(0), expected.read(0))
