"""Specs become ordered lists of photos with stable ids and their own columns."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from actatlas.errors import ImageError, MissingExtra, NoImages
from actatlas.images import open_source, packaged


def draw(path: Path, colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).save(path)
    return path


def names(source) -> list[str]:
    return [os.path.relpath(record.path, source.spec) for record in source.records]


def test_a_flat_folder_lists_images_in_natural_order_and_nothing_else(tmp_path):
    for name in ("10.png", "2.PNG", "1.jpg", ".hidden.png"):
        draw(tmp_path / name)
    (tmp_path / "notes.txt").write_text("2.PNG")
    source = open_source(tmp_path)
    assert names(source) == ["1.jpg", "2.PNG", "10.png"]
    assert [record.id for record in source.records] == [0, 1, 2]
    assert source.column_names == () and source.read(0).size == (8, 6)


def test_sub_folders_become_labels_and_links_to_folders_are_not_entered(tmp_path):
    draw(tmp_path / "photos/red fox/a.png")
    draw(tmp_path / "photos/ball/b.webp")
    draw(tmp_path / "photos/ball/deeper/c.png")
    draw(tmp_path / "elsewhere/d.png")
    (tmp_path / "photos/link").symlink_to(tmp_path / "elsewhere")
    source = open_source(str(tmp_path / "photos"))
    assert names(source) == ["ball/b.webp", "red fox/a.png"]
    assert source.column_names == ("label",)
    assert [record.columns["label"] for record in source.records] == ["ball", "red fox"]


def test_a_folder_of_folders_of_folders_names_the_one_to_take(tmp_path):
    draw(tmp_path / "train/cat/a.png")
    with pytest.raises(NoImages, match="train holds folders"):
        open_source(tmp_path)


def test_a_text_list_is_relative_to_itself_and_has_comments(tmp_path, monkeypatch):
    draw(tmp_path / "photos/a.png")
    (tmp_path / "list.txt").write_bytes("\ufeff# mine\r\n\r\nphotos/a.png\r\n gone.png \r\n".encode())
    monkeypatch.chdir("/")
    source = open_source(tmp_path / "list.txt")
    assert [record.path for record in source.records] == [str(tmp_path / "photos/a.png"), str(tmp_path / "gone.png")]


def test_a_csv_keeps_its_columns_as_strings(tmp_path):
    draw(tmp_path / "a, b.png")
    (tmp_path / "list.csv").write_bytes('\ufeffpath,label,note\r\n"a, b.png",007,"says ""hi"",\nfox"\r\n\r\n'.encode())
    source = open_source(tmp_path / "list.csv")
    assert source.column_names == ("label", "note")
    assert dict(source.records[0].columns) == {"label": "007", "note": 'says "hi",\nfox'}
    assert source.read(0).size == (8, 6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na.png,x\n", 'first column must be "path", found "file"'),
        ("", "found nothing"),
        ("path,label\na.png\n", "line 2: 1 cells where the header has 2"),
        ("path,label\na.png,x\nb.png,x,y\n", "line 3: 3 cells"),
        ("path,label,label\na.png,x,y\n", '"label" stands twice'),
        ("path,\na.png,x\n", "column 2 has no name"),
        ("path,label\n,x\n", "line 2: the path is empty"),
        ("path,label\ns3://b/a.jpg,x\n", "line 2: s3://b/a.jpg is an address, and lists name files on disk"),
        ('path,label\na.png,"x\n', "not a readable CSV"),
        ("path,label\n", "no rows"),
        (b"path\n\xff\xfe.png\n", "not UTF-8"),
    ],
)
def test_a_csv_that_cannot_be_understood_says_where(tmp_path, content, message):
    file = tmp_path / "list.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ImageError, match=message) as caught:
        open_source(file)
    assert caught.value.exit_code == 3 and str(file) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gone", "notes.md", "empty", "empty.txt"])
def test_a_spec_with_nothing_in_it_is_no_images(tmp_path, name):
    (tmp_path / "notes.md").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(NoImages, match=name) as caught:
        open_source(tmp_path / name)
    assert caught.value.exit_code == 3


def test_a_single_photo_a_list_of_paths_and_a_source_are_sources_too(tmp_path):
    photo = draw(tmp_path / "a.png")
    assert [record.path for record in open_source(photo).records] == [str(photo)]
    source = open_source([photo, str(photo)])
    assert [record.id for record in source.records] == [0, 1]
    assert open_source(source) is source
    for wrong in ([], [Image.new("RGB", (4, 4))], 7):
        with pytest.raises(NoImages):
            open_source(wrong)


def test_packaged_photos_are_distinct_labelled_and_readable():
    missing = [module for module in packaged._PACKAGES if find_spec(module) is None]
    if missing:
        pytest.skip(f"no packaged photos: install {', '.join(missing)}")
    source = open_source("packaged:demo")
    photos = {source.read(record.id).resize((8, 8)).tobytes() for record in source.records}
    assert len(photos) == len(source.records) == 27
    assert source.column_names == ("label", "package") and all(record.columns["label"] for record in source.records)


def test_packaged_photos_without_their_packages_name_the_extra(monkeypatch):
    monkeypatch.setattr(packaged, "find_spec", lambda module: None)
    with pytest.raises(MissingExtra, match=r"actatlas\[photos\]") as caught:
        open_source("packaged:demo")
    assert caught.value.exit_code == 5
    with pytest.raises(NoImages, match="packaged:demo"):
        open_source("packaged:holiday")
