"""Several sources, one behind the other: ids, columns, what is there twice, and the order of collecting."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from actatlas.collect.sampling import lots_of, order_of, photo_order
from actatlas.images import FileSource, JoinedPhotos, open_source, read_photo
from actatlas.testing import ImageSourceContract
from actatlas.values import Blocks


def write(path: Path, photos: list[Path], **columns: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for photo in photos:
            archive.add(photo, photo.name)
            for name, value in columns.items():
                text = path.parent / "text"
                text.write_text(value)
                archive.add(text, f"{photo.stem}.{name}")
    return path


@pytest.fixture
def shards(tmp_path, files) -> list[Path]:
    return [write(tmp_path / f"part-{i}" / f"{i:03d}.tar", files[8 * i : 8 * i + 8]) for i in range(3)]


class TestJoined(ImageSourceContract):
    @pytest.fixture(autouse=True)
    def _shards(self, shards):
        self.shards = shards

    def make(self):
        return " + ".join(map(str, self.shards))


def test_ids_go_on_from_one_source_to_the_next_and_the_spec_leads_there_again(shards, files):
    source = open_source(f"wds:{shards[0]} + {shards[2]}")
    wanted = [*files[:8], *files[16:]]
    assert [record.id for record in source.records] == list(range(16))
    assert all(np.array_equal(source.read(i), read_photo(path)) for i, path in enumerate(wanted))
    assert max(source.read_reduced(3, 8).size) <= max(source.read(3).size)
    again = open_source(source.spec)
    assert again.spec == source.spec and again.content_sha256 == source.content_sha256


def test_what_an_earlier_source_has_is_left_out(shards, tmp_path):
    both = tmp_path / "both"
    both.mkdir()
    moved = [shutil.copy(shard, both) for shard in shards[:2]]
    assert len(open_source(f"wds:{both} + wds:{moved[0]}").records) == 16
    known = JoinedPhotos([open_source(moved[0]), open_source(both)])
    assert len(known) == 16 and [len(part.ids) for part in known.parts] == [8, 8]
    assert len(JoinedPhotos([known, open_source(both)]).parts) == 2


def test_columns_are_those_of_all(tmp_path, files):
    one, two = (
        write(tmp_path / "a" / "0.tar", files[:3], cls="cat"),
        write(tmp_path / "b" / "1.tar", files[3:5], txt="x"),
    )
    source = open_source(f"{one} + {two}")
    assert source.column_names == ("label", "text")
    assert [dict(record.columns) for record in source.records[2:4]] == [{"label": "cat", "text": ""},
                                                                         {"label": "", "text": "x"}]  # fmt: skip


def test_folders_together_are_files(tmp_path, files):
    for i, some in enumerate((files[:3], files[3:5])):
        (tmp_path / str(i)).mkdir()
        for file in some:
            shutil.copy(file, tmp_path / str(i))
    source = open_source(f"{tmp_path}/0 + {tmp_path}/1")
    assert isinstance(source, FileSource) and len(source.records) == 5
    assert source.spec == f"{tmp_path}/0 + {tmp_path}/1"


def test_photos_of_one_name_are_told_apart(tmp_path, files):
    one, two = write(tmp_path / "a" / "0.tar", files[:2]), write(tmp_path / "b" / "0.tar", files[:2])
    paths = [record.path for record in open_source(f"{one} + {two}").records]
    name = f"0.tar/{files[0].name}"
    assert (paths[0], paths[2]) == (name, f"{name} (2)") and len(set(paths)) == 4


def test_a_path_with_a_plus_in_it_is_a_path(tmp_path, files):
    folder = tmp_path / "cats + dogs"
    folder.mkdir()
    shutil.copy(files[0], folder)
    write(folder / "in" / "0.tar", files[:3])
    assert len(open_source(folder).records) == 1
    assert len(open_source(f"wds:{folder}/in/{{0,0}}.tar").records) == 3


class Blocked:
    """Photos that are read in blocks, of which only the ids matter."""

    def __init__(self, spec: str, count: int, at_once: int):
        self.spec, self.column_names, self.blocks = spec, (), Blocks(np.arange(0, count, 4), at_once)
        self.records = open_source([f"/{spec}/{i}.png" for i in range(count)]).records

    def read(self, image_id: int) -> None:
        raise AssertionError("nothing is read")


def test_each_source_keeps_its_own_order_and_what_is_added_changes_nothing_before_it():
    one, two = Blocked("one", 40, 3), Blocked("two", 20, 2)
    joined = JoinedPhotos([one, two])
    alone = [photo_order(40, 5, one.blocks), 40 + photo_order(20, 5, two.blocks)]
    order = order_of(joined, 5)
    assert sorted(order) == list(range(60))
    assert np.array_equal(order[order < 40], alone[0]) and np.array_equal(order[order >= 40], alone[1])
    assert (order[:30] >= 40).sum() == 10  # mixed as they are mixed in all
    for lot, wanted in zip(lots_of(joined, 5, [0, 40]), alone, strict=True):
        assert np.array_equal(lot, wanted)
