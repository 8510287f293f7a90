"""The atlas folder: whole files or none, a journal that survives, a manifest that tells the truth."""

import errno
import hashlib
import os

import numpy as np
import pytest

from actatlas.errors import DiskFull, FolderTaken, Locked, NotAnAtlas, StorageError, UnfinishedAtlas, VerificationFailed
from actatlas.store import FORMAT_VERSION, AtlasFolder, durable, writing


@pytest.fixture
def folder(tmp_path):
    files = AtlasFolder.begin(tmp_path / "atlas")
    files.write_json("plan.json", {"format_version": FORMAT_VERSION})
    return files


@pytest.fixture
def failing_disk(monkeypatch):
    """Make the n-th disk operation from now on fail as a full disk does."""

    def arm(n, code=errno.ENOSPC):
        left = [n]

        def fail(operation, path):
            left[0] -= 1
            if left[0] == 0:
                raise OSError(code, os.strerror(code), str(path))

        monkeypatch.setattr(durable, "before_operation", fail)

    yield arm
    monkeypatch.setattr(durable, "before_operation", None)


def test_arrays_come_back_as_they_were_and_only_those_asked_for(folder):
    folder.write_arrays("a/b.safetensors", {"x": np.arange(6).reshape(2, 3), "y": None, "z": np.ones(2, np.float16)})
    assert set(folder.read_arrays("a/b.safetensors")) == {"x", "z"}
    assert list(folder.read_arrays("a/b.safetensors", ["x", "missing"])) == ["x"]
    assert (folder.read_arrays("a/b.safetensors")["x"] == np.arange(6).reshape(2, 3)).all()


@pytest.mark.parametrize("n", range(1, 9))
def test_whatever_disk_operation_fails_a_file_is_whole_and_what_counts_as_done_is_what_is_there(
    folder, failing_disk, n
):
    folder.write("data.bin", b"old")
    failing_disk(n)
    with pytest.raises(DiskFull, match="free some space"):
        folder.write("data.bin", b"new")  # as long as the one before it: only its hash tells them apart
    failing_disk(0)
    again = AtlasFolder.existing(folder.root)
    data = (folder.root / "data.bin").read_bytes()
    assert data in (b"old", b"new")
    assert not again.has("data.bin") or again.was("data.bin") == hashlib.sha256(data).hexdigest()
    again.write("data.bin", b"new")
    again.finish({})
    assert AtlasFolder.existing(folder.root).verify() == 2 and not list(folder.root.glob(".*.tmp"))


def test_a_folder_that_cannot_be_written_is_one_clear_sentence(folder, failing_disk):
    failing_disk(1, errno.EACCES)
    with pytest.raises(StorageError, match=r"data\.bin could not be written \(Permission denied\)"):
        folder.write("data.bin", b"x")


def test_a_place_where_nothing_can_be_made_is_one_clear_sentence(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"page\.html could not be written \("):
        durable.write_file(tmp_path / "file" / "page.html", b"x")
    with pytest.raises(StorageError, match="atlas cannot be written"), writing(tmp_path / "file" / "atlas"):
        pass


def test_a_journal_line_cut_short_by_a_crash_spoils_no_other(folder):
    folder.write("one", b"1")
    with open(folder.root / "journal.jsonl", "ab") as journal:
        journal.write(b'{"path": "torn", "by')
    again = AtlasFolder.existing(folder.root)
    again.write("two", b"22")
    assert AtlasFolder.existing(folder.root).committed() == ["one", "plan.json", "two"]


def test_a_file_that_is_gone_or_shorter_than_the_journal_says_counts_as_not_done(folder):
    folder.write("one", b"1234")
    folder.write("two", b"1234")
    (folder.root / "one").unlink()
    (folder.root / "two").write_bytes(b"12")
    assert AtlasFolder.existing(folder.root).committed() == ["plan.json"]


def test_verify_finds_one_flipped_bit_in_any_file(folder):
    for name in ("one", "deep/two"):
        folder.write(name, bytes(range(200)))
    folder.finish({})
    assert AtlasFolder.existing(folder.root).verify() == 3
    for name in ("one", "deep/two"):
        data = bytearray((folder.root / name).read_bytes())
        data[100] ^= 1
        (folder.root / name).write_bytes(data)
        with pytest.raises(VerificationFailed, match=name):
            AtlasFolder.existing(folder.root).verify()
        data[100] ^= 1
        (folder.root / name).write_bytes(data)


def test_verify_refuses_an_atlas_that_is_not_finished(folder):
    with pytest.raises(UnfinishedAtlas, match="no manifest"):
        folder.verify()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FolderTaken, match=r"thesis\.tex"):
        AtlasFolder.begin(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_that_is_no_atlas_or_of_another_format_is_refused(tmp_path):
    with pytest.raises(NotAnAtlas, match=r"no plan\.json"):
        AtlasFolder.existing(tmp_path)
    (tmp_path / "plan.json").write_text('{"format_version": 99}')
    with pytest.raises(NotAnAtlas, match="format 99"):
        AtlasFolder.existing(tmp_path)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(NotAnAtlas, match="damaged"):
        AtlasFolder.existing(tmp_path)


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    with writing(tmp_path), pytest.raises(Locked, match=f"process {os.getpid()}"), writing(tmp_path):
        pass
    with writing(tmp_path):  # free again
        pass
