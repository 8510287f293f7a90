"""Photos in webdataset shards, on disk and on servers: what is listed, what is read, and what is refused how."""

import io
import json
import os
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from tests.images.servers import WebServer

import actatlas
from actatlas.collect.sampling import order_of
from actatlas.errors import ImageError, NoImages, OutOfReach, UnreadableImage
from actatlas.images import open_source, read_photo
from actatlas.images.tar import members
from actatlas.images.webdataset import _LocalArchive
from actatlas.testing import ImageSourceContract
from actatlas.testing.small import small_network


def add(
    archive: tarfile.TarFile, name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    archive.addfile(info, io.BytesIO(content))


def write(path: Path, photos: list[Path], form: int = tarfile.PAX_FORMAT, first: int = 0) -> Path:
    """A shard of these photos with a class, a caption and some facts each."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w", format=form) as archive:
        for number, photo in enumerate(photos, start=first):
            key = f"{number:06d}"
            add(archive, f"{key}.cls", str(number % 3).encode())
            add(archive, f"{key}{photo.suffix}", photo.read_bytes())
            add(archive, f"{key}.json", json.dumps({"width": number, "tags": ["a"], "by": None}).encode())
            if number % 2:
                add(archive, f"{key}.txt", f" Photo {number}\n".encode())
    return path


def claim(archive: Path, size: bytes) -> None:
    """The first header's size field becomes this, and its sum right."""
    content = bytearray(archive.read_bytes())
    content[124:136] = size
    content[148:156] = b" " * 8
    content[148:156] = f"{sum(content[:512]):06o}\0 ".encode()
    archive.write_bytes(content)


@pytest.fixture
def folder(tmp_path, files) -> Path:
    for shard in range(3):
        write(tmp_path / "shards" / f"train-{shard:03d}.tar", files[8 * shard : 8 * shard + 8], first=8 * shard)
    return tmp_path / "shards"


class TestShards(ImageSourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, folder):
        self.folder = folder

    def make(self):
        return self.folder


def test_photos_are_listed_with_what_came_with_them_whatever_order_shards_are_named_in(folder, files):
    source = open_source(folder)
    assert source.column_names == ("label", "text", "by", "width") and len(source.records) == 24
    assert source.records[9].path == f"train-001.tar/000009{files[9].suffix}"
    assert source.records[9].columns == {"label": "0", "text": "Photo 9", "by": "", "width": "9"}
    assert source.records[10].columns["text"] == ""
    assert all(np.array_equal(source.read(number), read_photo(files[number])) for number in range(24))
    for spec in (f"wds:{folder}/train-{{000..002}}.tar", f"wds:{folder}/train-{{002,000,001}}.tar",
                 f"wds:{folder}/train-*.tar", f"wds:{folder}"):  # fmt: skip
        other = open_source(spec)
        assert list(other.records) == list(source.records) and other.content_sha256 == source.content_sha256
        assert np.array_equal(order_of(other, 5), order_of(source, 5))
        assert list(open_source(other.spec).records) == list(source.records)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_all_forms_of_tar_are_read_as_tarfile_reads_them(tmp_path, files, form):
    long = "a/" * 45 + "b" * 60 if form == tarfile.USTAR_FORMAT else "folder é/" * 30 + "x" * 90
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as archive:
        add(archive, "folder", kind=tarfile.DIRTYPE)
        for name in ("short.png", f"{long}.png", "./dotted/one.two.png"):
            add(archive, name, files[0].read_bytes())
    with tarfile.open(tmp_path / "a.tar") as archive:
        expected = [(info.name, info.offset_data, info.size) for info in archive if info.isreg()]
    found = [m for m in members(_LocalArchive(str(tmp_path / "a.tar"))) if m.is_regular]
    assert [(m.name, m.offset, m.size) for m in found] == expected
    source = open_source(tmp_path / "a.tar")
    assert [record.path for record in source.records] == [f"a.tar/{name}" for name, _, _ in expected]
    assert np.array_equal(source.read(1), read_photo(files[0]))


def test_of_several_pictures_of_a_key_one_is_taken_and_another_can_be_named(tmp_path, files):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive, "1.seg.png", files[0].read_bytes())
        add(archive, "1.jpg", files[1].read_bytes())
        add(archive, "2.left.jpg", files[2].read_bytes())
        add(archive, "__meta__.json", b"{}")
        add(archive, "._2.jpg", b"of a Mac")
    assert [r.path for r in open_source(tmp_path / "a.tar").records] == ["a.tar/1.jpg", "a.tar/2.left.jpg"]
    named = open_source(f"wds:{tmp_path}/a.tar?image=seg.png")
    assert [r.path for r in named.records] == ["a.tar/1.seg.png"]
    with pytest.raises(NoImages, match=r"called \*\.depth"):
        open_source(f"wds:{tmp_path}/a.tar?image=depth")


def test_nothing_of_a_hostile_archive_is_written_followed_or_unpickled(tmp_path, files):
    canary = tmp_path / "canary"

    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {canary}",)

    content = files[0].read_bytes()
    (tmp_path / "home").mkdir()
    with tarfile.open(tmp_path / "home" / "a.tar", "w") as archive:
        add(archive, "../../up.jpg", content)
        add(archive, f"{tmp_path}/absolute.jpg", content)
        add(archive, "link.jpg", kind=tarfile.SYMTYPE, link="/etc/passwd")
        add(archive, "hard.jpg", kind=tarfile.LNKTYPE, link="../../up.jpg")
        add(archive, "device.jpg", kind=tarfile.CHRTYPE)
        add(archive, "pipe.jpg", kind=tarfile.FIFOTYPE)
        add(archive, "x.jpg", content)
        for extension in ("pkl", "pyd", "pickle", "pth", "cls", "json", "txt"):
            add(archive, f"x.{extension}", pickle.dumps(Bomb()))
    before = sorted(tmp_path.rglob("*"))
    source = open_source(tmp_path / "home" / "a.tar")
    told = {}
    for record in source.records:
        try:
            assert np.array_equal(source.read(record.id), read_photo(files[0]))
        except UnreadableImage as error:
            told[record.path] = error.reason
    assert len(source.records) == 7 and sorted(told) == [f"a.tar/{n}.jpg" for n in ("device", "hard", "link", "pipe")]
    assert set(told.values()) == {"not a regular file in its archive"}
    assert sorted(tmp_path.rglob("*")) == before and not canary.exists()


@pytest.mark.parametrize("cut", [700, 3_000, 20_000, -1_024, -5_000])
def test_a_torn_shard_says_where_it_ends(folder, cut):
    shard = folder / "train-001.tar"
    with tarfile.open(shard) as archive:
        end = max(info.offset_data + info.size for info in archive)
    whole = shard.read_bytes()
    shard.write_bytes(whole[: cut if cut > 0 else end + 511 + cut])
    with pytest.raises(ImageError, match=r"train-001.tar is torn: it ends (inside|without)") as caught:
        open_source(folder)
    assert caught.value.exit_code == 3


def test_what_is_no_tar_or_damaged_or_missing_says_so(folder, tmp_path):
    (tmp_path / "a.tar").write_bytes(b"\x1f\x8b\x08" + bytes(2000))
    with pytest.raises(ImageError, match="compressed archive; unpack"):
        open_source(tmp_path / "a.tar")
    (tmp_path / "a.tar").write_bytes(os.urandom(4096))
    with pytest.raises(ImageError, match="no tar archive"):
        open_source(tmp_path / "a.tar")
    content = bytearray((folder / "train-001.tar").read_bytes())
    content[1024:1100] = bytes(76)
    (folder / "train-001.tar").write_bytes(content)
    with pytest.raises(ImageError, match="damaged at byte 1024"):
        open_source(folder)
    with pytest.raises(NoImages, match=r"train-003.tar does not exist; of 5 shards 2 are missing"):
        open_source(f"wds:{folder}/train-{{000..004}}.tar")
    with pytest.raises(NoImages, match="no file is called so"):
        open_source(f"wds:{folder}/*.tarx")


def test_headers_that_claim_too_much_are_refused_before_memory_is_taken(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        add(archive, "x" * 200 + ".jpg", b"photo")
    claim(tmp_path / "a.tar", b"77777777777\0")
    with pytest.raises(ImageError, match="larger than any name needs"):
        open_source(tmp_path / "a.tar")


def test_a_shard_that_changes_after_it_was_listed_is_not_read(folder, files):
    source = open_source(folder)
    write(folder / "train-001.tar", files[:8])
    with pytest.raises(UnreadableImage, match="changed since it was listed"):
        source.read(8)
    assert open_source(folder).content_sha256 != source.content_sha256


def test_shards_go_to_another_process_as_they_are(folder):
    source = open_source(folder)
    again = pickle.loads(pickle.dumps(source))
    assert np.array_equal(again.read(3), source.read(3)) and again.records[20] == source.records[20]


@pytest.mark.parametrize("gives_parts", [True, False])
def test_shards_on_a_server_are_the_shards_on_disk(folder, gives_parts):
    local = open_source(folder)
    with WebServer(folder, gives_parts) as server:
        source = open_source(f"wds:{server.url}/train-{{000..002}}.tar")
        assert list(source.records) == list(local.records) and len(server.asked) == 3
        for number in order_of(source, 1).tolist():
            assert np.array_equal(source.read(number), local.read(number))
        parts = [wanted for _, wanted in server.asked[3:]]
        assert all(parts) and len(parts) == 24 if gives_parts else len(parts) == 3 and not any(parts)
        again = pickle.loads(pickle.dumps(source))
        assert np.array_equal(again.read(3), local.read(3))


def test_a_server_that_refuses_or_is_away_is_named(folder, monkeypatch):
    monkeypatch.setattr("actatlas.images.web.time.sleep", lambda _: None)
    with (
        WebServer(folder, gives_parts=True) as server,
        pytest.raises(NoImages, match=r"train-009.tar: the server .*404"),
    ):
        open_source(f"wds:{server.url}/train-009.tar")
    with pytest.raises(NoImages, match=r"cannot be read .*refused.*check the address"):
        open_source(f"wds:{server.url}/train-000.tar")
    with WebServer(folder, gives_parts=True, fails=2) as server:
        assert len(open_source(f"wds:{server.url}/train-000.tar").records) == 8


def test_a_file_that_changes_on_its_server_is_not_read(folder, files):
    with WebServer(folder, gives_parts=True) as server:
        source = open_source(f"wds:{server.url}/train-000.tar")
        write(folder / "train-000.tar", files[3:11])
        with pytest.raises(UnreadableImage, match="has changed on its server"):
            source.read(0)


def test_an_answer_that_breaks_midway_is_asked_for_again(folder, monkeypatch):
    monkeypatch.setattr("actatlas.images.web.time.sleep", lambda _: None)
    local = open_source(folder)
    with WebServer(folder, gives_parts=True) as server:
        source = open_source(f"wds:{server.url}/train-{{000..002}}.tar")
        server.cuts = lambda number: number % 3 != 2
        for number in range(6):
            assert np.array_equal(source.read(number), local.read(number))


@pytest.mark.parametrize("trouble", ["breaks", 403, 429, 503, 404, 416])
def test_no_photo_is_left_out_because_the_way_to_it_is_broken(folder, monkeypatch, trouble):
    monkeypatch.setattr("actatlas.images.web.time.sleep", lambda _: None)
    with WebServer(folder, gives_parts=True) as server:
        source = open_source(f"wds:{server.url}/train-{{000..002}}.tar")
        if trouble == "breaks":
            server.cuts = lambda number: True
        else:
            server.refuses = lambda number: trouble
        expected = UnreadableImage if trouble in (404, 416) else OutOfReach  # gone, or the way to it broken
        with pytest.raises(expected, match=rf"{server.url}/train-000.tar"):
            source.read(0)
    if trouble == "breaks":
        with pytest.raises(OutOfReach, match="refused.*run the command again"):
            source.read(0)


def test_a_build_whose_server_goes_away_goes_on_where_it_was(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("actatlas.images.web.time.sleep", lambda _: None)
    how = {"model": small_network(), "grids": [3], "positions": 4, "examples": "none"}
    with WebServer(folder, gives_parts=True) as server:
        spec = f"wds:{server.url}/train-{{000..002}}.tar"
        whole = actatlas.build(spec, out=tmp_path / "whole", **how)
        away = len(server.asked) // 2
        server.refuses = lambda number: 503 if len(server.asked) > away + len(whole.images) else None
        with pytest.raises(OutOfReach, match="503"):
            actatlas.build(spec, out=tmp_path / "atlas", **how)
        server.refuses = lambda number: None
        atlas = actatlas.build(spec, out=tmp_path / "atlas", **how)
    assert atlas.images["skipped"].isna().all()
    name = atlas.layer_names[0]
    assert np.array_equal(atlas.layer(name).activations.vectors, whole.layer(name).activations.vectors)


def test_other_addresses_than_of_the_web_are_not_followed_and_odd_ones_are_said(folder, monkeypatch):
    monkeypatch.setattr("actatlas.images.web.time.sleep", lambda _: None)
    shutil.copy(folder / "train-000.tar", folder / "é a.tar")
    with WebServer(folder, gives_parts=True) as server:
        server.redirects = {"/away.tar": "ftp://127.0.0.1/x.tar"}
        assert len(open_source(f"{server.url}/é%20a.tar").records) == 8
        with pytest.raises(NoImages, match="away.tar cannot be read .unknown url type: ftp"):
            open_source(f"{server.url}/away.tar")
    with pytest.raises(NoImages, match="is no address"):
        open_source("http://[::1/x.tar")


@pytest.mark.parametrize("size", [b"-0000001000\0", b"0_0_1\0", b"0x12\0", b"9\0"])
def test_sizes_that_are_none_end_the_listing(tmp_path, size):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        add(archive, "a.jpg", b"photo")
    claim(tmp_path / "a.tar", size.ljust(12, b"\0"))
    with pytest.raises(ImageError, match="is damaged at byte 0"):
        open_source(tmp_path / "a.tar")


def test_a_claimed_size_of_very_many_digits_is_none(tmp_path, files):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.png")
        info.size, info.pax_headers = len(files[0].read_bytes()), {"size": "9" * 5000}
        archive.addfile(info, io.BytesIO(files[0].read_bytes()))
    assert np.array_equal(open_source(tmp_path / "a.tar").read(0), read_photo(files[0]))
