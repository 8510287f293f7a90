"""benchmarks/hostile_images.py at a smaller count: nothing crashes, hangs or is lost, and good photos stay the same."""

import io
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from actatlas.errors import UnreadableImage
from actatlas.images import decode, isolated_decoding, open_source
from actatlas.rerun import contents_sha256


@pytest.fixture(scope="module")
def hostile(load_script):
    return load_script("benchmarks/hostile_images.py")


def test_files_made_by_hand_are_photos_or_have_a_reason(hostile, drawn_photos, tmp_path):
    good = sorted(drawn_photos.iterdir())
    made = hostile.handmade(tmp_path / "made", good[0])
    assert len(made) >= 60
    result = hostile.try_handmade(made, good[:4])
    assert result["wrong"] == {} and result["photo"] + result["skipped"] == result["listed"] == len(made) + 4
    assert not (tmp_path / "canary").exists() and not Path("canary").exists() and not Path("x").exists()


def test_mutants_are_photos_or_have_a_reason(hostile, drawn_photos):
    photos = sorted(drawn_photos.iterdir())
    result = hostile.try_mutants(photos, 240, seed=1)
    assert result["wrong"] == {} and result["photo"] + result["skipped"] == 240
    assert result["photo"] > 10 and result["skipped"] > 100
    assert hostile.mutant(photos, 17, 1) == hostile.mutant(photos, 17, 1) != hostile.mutant(photos, 17, 2)


def test_a_folder_lists_every_name_and_a_table_of_them_can_be_read(hostile, drawn_photos, tmp_path):
    from actatlas.atlas.tables import read_images
    from actatlas.planning import _images_csv
    from actatlas.store import AtlasFolder

    made = hostile.handmade(tmp_path / "made", next(drawn_photos.iterdir()))
    source = open_source(tmp_path / "made")
    there = {path for path in made if Path(path.replace("\0", "?")).name not in ("folder.jpg", "gone.jpg", "nul?.jpg")}
    assert {record.path for record in source.records} == there | {str(tmp_path / "made" / "dangling.jpg")}
    files = AtlasFolder(tmp_path / "atlas")
    files.write("images.csv", _images_csv(source))
    table = read_images(files, "images.csv")
    assert table["path"].tolist() == [record.path for record in source.records]
    with isolated_decoding():
        kinds = [hostile.outcome(record.path)[0] for record in source.records[:10]]
    assert set(kinds) <= {hostile.PHOTO, hostile.SKIPPED}


def test_a_jpeg_of_more_scans_than_any_encoder_writes_is_skipped_at_once():
    encoded = io.BytesIO()
    Image.new("L", (3000, 3000), 128).save(encoded, "JPEG", progressive=True)
    whole = encoded.getvalue()
    last = whole.rfind(b"\xff\xda")
    assert decode(whole).size == (3000, 3000)
    begun = time.monotonic()
    with pytest.raises(UnreadableImage, match="more than 100 scans"):
        decode(whole[:last] + whole[last:-2] * 2000 + b"\xff\xd9")
    assert time.monotonic() - begun < 1


def test_a_file_that_has_nothing_to_give_is_not_waited_for(tmp_path, monkeypatch):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"photo")
    source = open_source([str(photo)])
    photo.unlink()
    os.mkfifo(photo)
    monkeypatch.setattr(Path, "is_file", lambda path: True)  # as some files of /proc say
    assert len(contents_sha256(source)) == 64
