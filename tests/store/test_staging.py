"""A folder is there whole, or as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from actatlas.errors import FolderTaken, StorageError
from actatlas.store.staging import staged


def is_ours(name: str) -> bool:
    return name in ("page", "data")


def write(out: Path, **files: str) -> None:
    with staged(out, is_ours) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_appears_whole_and_a_later_one_takes_its_place(tmp_path):
    out = tmp_path / "deep" / "out"
    write(out, page="1", data="1")
    assert names(out) == ["data", "page"] and names(out.parent) == ["out"]
    write(out, page="2")
    assert names(out) == ["page"] and (out / "page").read_text() == "2", "what is no longer written is gone"
    assert names(out.parent) == ["out"]


def test_what_fails_on_its_way_leaves_everything_as_it_was(tmp_path):
    out = tmp_path / "out"
    for before in ([], ["page"]):
        with pytest.raises(ValueError, match="midway"), staged(out, is_ours) as folder:
            (folder / "page").write_text("half")
            raise ValueError("midway")
        assert names(tmp_path) == ["out"] * bool(before)
        assert not before or (out / "page").read_text() == "1"
        write(out, page="1")


def test_hidden_names_stay(tmp_path):
    out = tmp_path / "out"
    write(out, page="1")
    (out / ".git").mkdir()
    (out / ".git" / "config").write_text("mine")
    write(out, page="2")
    assert names(out) == [".git", "page"] and (out / ".git" / "config").read_text() == "mine"


@pytest.mark.parametrize("at", ["exchange", "tidying"])
def test_a_run_that_was_cut_short_in_the_exchange_loses_nothing(tmp_path, at):
    out, earlier = tmp_path / "out", tmp_path / ".out.earlier"
    write(out, page="1")
    (out / ".git").mkdir()
    out.rename(earlier)
    if at == "tidying":
        write_again = tmp_path / "new"
        write(write_again, page="2")
        write_again.rename(out)
    write(out, page="3")
    assert names(out) == [".git", "page"] and (out / "page").read_text() == "3"
    assert names(tmp_path) == ["out"]


def test_a_folder_of_something_else_is_refused_and_untouched(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("x")
    for name, told in (("file", "is a file"), ("photos", "cat.jpg")):
        with pytest.raises(FolderTaken, match=told):
            write(tmp_path / name, page="1")
    assert names(tmp_path) == ["file", "photos"] and names(tmp_path / "photos") == ["cat.jpg"]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="could not be written"):
        write(tmp_path / "file" / "out", page="1")
