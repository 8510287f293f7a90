"""Photos in an object store, by the S3 protocol: shards, Parquet and files of a folder; what is refused, and how."""

import io
import pickle
import tarfile
import uuid
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

import actatlas
from actatlas.collect.sampling import order_of
from actatlas.errors import MissingExtra, NoImages, OutOfReach, UnreadableImage
from actatlas.images import buckets, open_source, read_photo
from actatlas.rerun import listing_sha256
from actatlas.testing import ImageSourceContract
from actatlas.testing.small import small_network


class Bucket:
    """What is put into one folder of the bucket, and below it."""

    def __init__(self, store):
        self._store, self._folder = store, uuid.uuid4().hex
        self.url = f"s3://{store.bucket}/{self._folder}"

    def put(self, file: Path, name: str) -> str:
        return self._store.put(file, f"{self._folder}/{name}")

    def remove(self, name: str) -> None:
        self._store.files.rm(f"{self._store.bucket}/{self._folder}/{name}")


@pytest.fixture
def bucket(object_store) -> Bucket:
    return Bucket(object_store)


def shard(path: Path, photos: list[Path], first: int = 0) -> Path:
    with tarfile.open(path, "w") as archive:
        for number, photo in enumerate(photos, first):
            archive.add(photo, f"{number:04d}{photo.suffix}")
            info = tarfile.TarInfo(f"{number:04d}.cls")
            info.size = 1
            archive.addfile(info, io.BytesIO(str(number % 3).encode()))
    return path


def table(path: Path, photos: list[Path]) -> Path:
    columns = {"image": [photo.read_bytes() for photo in photos], "note": [photo.name for photo in photos]}
    pq.write_table(pa.table(columns), path, row_group_size=5)
    return path


@pytest.fixture
def shards(tmp_path, files, bucket) -> tuple[str, str]:
    """A pattern of three shards on disk, and of the same in the bucket."""
    for number in range(3):
        path = shard(tmp_path / f"train-{number}.tar", files[8 * number : 8 * number + 8], 8 * number)
        bucket.put(path, f"train-{number}.tar")
    return f"wds:{tmp_path}/train-{{0..2}}.tar", f"wds:{bucket.url}/train-{{0..2}}.tar"


def assert_same_photos(source, local) -> None:
    assert list(source.records) == list(local.records)
    for number in order_of(source, 1).tolist():
        assert np.array_equal(source.read(number), local.read(number)), number


class TestFolder(ImageSourceContract):
    @pytest.fixture(autouse=True)
    def _bucket(self, bucket, files):
        self.url = bucket.url
        for file in files[:5]:
            bucket.put(file, f"{file.stem[-1]}/{file.name}")

    def make(self):
        return self.url


class TestShards(ImageSourceContract):
    @pytest.fixture(autouse=True)
    def _shards(self, shards):
        self.url = shards[1]

    def make(self):
        return self.url


def test_shards_are_the_shards_on_disk(shards, bucket):
    local, source = map(open_source, shards)
    assert_same_photos(source, local)
    assert_same_photos(pickle.loads(pickle.dumps(source)), local)
    for spec in (f"wds:{bucket.url}/*.tar", f"wds:{bucket.url}/train-[0-2]*", f"{bucket.url}/", bucket.url):
        again = open_source(spec)
        assert list(again.records) == list(local.records) and again.content_sha256 == source.content_sha256, spec
    one = open_source(f"{bucket.url}/train-1.tar")
    assert len(one.records) == 8 and np.array_equal(one.read(0), local.read(8))


def test_parquet_is_the_file_on_disk(tmp_path, files, bucket):
    local = open_source(table(tmp_path / "a.parquet", files))
    url = bucket.put(tmp_path / "a.parquet", "a.parquet")
    for spec in (url, f"parquet:{url}?column=image", f"parquet:{bucket.url}/*.parquet", bucket.url):
        assert_same_photos(open_source(spec), local)
    table(tmp_path / "a.parquet", files[3:])
    source = open_source(url)
    bucket.put(tmp_path / "a.parquet", "a.parquet")
    with pytest.raises(UnreadableImage, match="a.parquet has changed since it was listed"):
        source.read(0)


def test_files_of_a_folder_are_its_photos_in_natural_order_by_their_classes(files, bucket, tmp_path):
    for number, file in enumerate(files[:12]):
        bucket.put(file, f"{'cat' if number % 2 else 'dog'}/{number}.png")
    bucket.put(files[0], ".hidden/9.png")
    bucket.put(files[0], "cat/deeper/9.png")
    bucket.put(shard(tmp_path / "a.tar", files[:2]), "notes.txt")
    source = open_source(bucket.url + "/")
    assert source.spec == bucket.url and source.column_names == ("label",)
    assert [record.path for record in source.records[:6]] == [f"cat/{number}.png" for number in (1, 3, 5, 7, 9, 11)]
    assert [record.columns["label"] for record in source.records] == ["cat"] * 6 + ["dog"] * 6
    assert source.home_of(5) == f"{bucket.url}/cat/11.png"
    assert np.array_equal(source.read(5), read_photo(files[11]))
    flat = open_source(f"{bucket.url}/dog")
    assert flat.column_names == () and np.array_equal(flat.read(1), read_photo(files[2]))
    one = open_source(f"{bucket.url}/dog/2.png")
    assert [record.path for record in one.records] == ["2.png"] and np.array_equal(one.read(0), flat.read(1))
    several = open_source(f"{bucket.url}/dog + {bucket.url}")  # what the first has is not there twice
    assert len(several.records) == 12


def test_what_changes_after_it_was_listed_is_another_listing_and_not_read(files, shards, bucket, tmp_path):
    source = open_source(shards[1])
    bucket.put(shard(tmp_path / "other.tar", files[3:11]), "train-1.tar")
    with pytest.raises(UnreadableImage, match="train-1.tar has changed since it was listed"):
        source.read(8)
    assert np.array_equal(source.read(0), read_photo(files[0]))
    assert listing_sha256(open_source(shards[1])) != listing_sha256(source)

    for number in range(3):
        bucket.put(files[number], f"photos/{number}.png")
    source = open_source(f"{bucket.url}/photos")
    bucket.put(files[5], "photos/1.png")
    bucket.remove("photos/2.png")
    assert np.array_equal(source.read(0), read_photo(files[0]))
    with pytest.raises(UnreadableImage, match="1.png has changed since it was listed"):
        source.read(1)
    with pytest.raises(UnreadableImage, match="2.png does not exist"):
        source.read(2)
    bucket.put(files[2], "photos/2.png")
    bucket.put(files[1], "photos/1.png")
    bucket.put(files[7], "photos/3.png")
    more = open_source(f"{bucket.url}/photos")
    assert more.content_of(3) == source.content_sha256 != more.content_sha256


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("{}/none", "none does not exist; check bucket and name"),
        ("s3://no-such-bucket/photos", "s3://no-such-bucket/photos does not exist; check bucket and name"),
        ("{}/none.tar", "none.tar does not exist; check bucket and name"),
        ("{}/none.parquet", "none.parquet does not exist"),
        ("wds:{}/none/a-*.tar", "none/a-[*].tar does not exist; check bucket and name"),
        ("wds:{}/none", "none does not exist; check bucket and name"),
        ("wds:{}/none-{{0..3}}.tar", "none-0.tar does not exist"),
        ("s3://", "s3:// names no bucket; write s3://BUCKET/FOLDER"),
        ("nosuch://host/photos", "no address that can be read .*nosuch"),
        ("ftp://127.0.0.1:1/a.tar", "cannot be read .*check the address, your credentials and the connection"),
        ("https://127.0.0.1:1/photos", r"of a web server, \.tar and \.parquet files can be read"),
    ],
)
def test_what_is_not_there_is_one_sentence(spec, told, bucket):
    with pytest.raises(NoImages, match=told) as caught:
        open_source(spec.format(bucket.url))
    assert "\n" not in str(caught.value)


def test_folders_without_photos_or_shards_say_what_was_looked_for(files, bucket):
    bucket.put(files[0], "notes/readme.txt")
    with pytest.raises(NoImages, match=r"no images in s3://.*/notes or its sub-folders.*and for \.tar and \.parquet"):
        open_source(f"{bucket.url}/notes")
    with pytest.raises(NoImages, match=r"notes holds no \.tar file"):
        open_source(f"wds:{bucket.url}/notes")
    for pattern in ("notes/a-*.tar", "*/*.tar", "n*/*/a.tar"):
        with pytest.raises(NoImages, match="no file is called so; check the pattern and the bucket"):
            open_source(f"wds:{bucket.url}/{pattern}")


def test_patterns_name_files_of_several_folders_and_leave_out_hidden_ones(files, bucket, tmp_path):
    for number, name in enumerate(["first/a-0.tar", "second/a-1.tar", "second/.a-2.tar", ".third/a-3.tar", "a-4.tar"]):
        bucket.put(shard(tmp_path / f"{number}.tar", files[2 * number : 2 * number + 2], 2 * number), name)
    named = {
        "*/a-*.tar": [0, 1], "*/*.tar": [0, 1], "[!f]*/a-[0-9].tar": [1], "*.tar": [4],
        "{first/a-0,sec*/a-1}.tar": [0, 1], "*/.a-*.tar": [2],
    }  # fmt: skip
    for pattern, numbers in named.items():
        source = open_source(f"wds:{bucket.url}/{pattern}")
        stems = [record.path.rpartition("/")[2].partition(".")[0] for record in source.records]
        assert stems == [f"{n:04d}" for number in numbers for n in (2 * number, 2 * number + 1)], pattern


def test_photos_of_a_class_that_cannot_be_listed_are_not_left_out(files, bucket, monkeypatch):
    for number, file in enumerate(files[:4]):
        bucket.put(file, f"{'cat' if number % 2 else 'dog'}/{number}.png")
    listed = s3fs.S3FileSystem._lsdir

    async def refused_in_part(store, path, *args, **kwargs):
        if path.rstrip("/").endswith("/dog"):
            raise PermissionError("Access Denied")
        return await listed(store, path, *args, **kwargs)

    monkeypatch.setattr(s3fs.S3FileSystem, "_lsdir", refused_in_part)
    for spec in (bucket.url, f"wds:{bucket.url}/*/*.tar"):
        with pytest.raises(NoImages, match="cannot be read .*Access Denied.*check the address, your credentials"):
            open_source(spec)


def test_a_missing_package_of_a_store_is_named(monkeypatch):
    def refused(*_, **__):
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refused)
    with pytest.raises(MissingExtra, match=r'gs://a/b needs gcsfs.*pip install "actatlas\[gcs\]"'):
        open_source("gs://a/b")
    with pytest.raises(NoImages, match="Please install gcsfs"):
        open_source("other://a/b")


def test_an_atlas_of_photos_in_a_bucket_is_built_shown_and_added_to(files, bucket, tmp_path):
    for number, file in enumerate(files[:16]):
        bucket.put(file, f"{number:02d}.png")
    how = {"model": small_network(), "out": tmp_path / "atlas", "grids": [3], "positions": 4}
    atlas = actatlas.build(bucket.url, **how)
    assert list(atlas.images["path"])[:1] == ["00.png"] and atlas.images["skipped"].isna().all()
    name = atlas.layer_names[0]
    assert len(atlas.layer(name).grid(3).examples(0, 1)) == 1
    before = np.array(atlas.layer(name).activations.vectors)
    for number, file in enumerate(files[16:20], 16):
        bucket.put(file, f"{number:02d}.png")
    grown = actatlas.build(bucket.url, **how, add=True)
    assert len(grown.images) == 20 and np.array_equal(grown.layer(name).activations.vectors[:64], before)


def test_the_way_to_a_bucket_that_breaks_costs_no_photo(files, bucket, monkeypatch):
    for number, file in enumerate(files[:3]):
        bucket.put(file, f"{number}.png")
    source = open_source(bucket.url)
    expected, store_of = source.read(1), buckets._store_of

    class Broken:
        def __init__(self, error):
            self.error = error

        def cat_file(self, *_, **__):
            raise self.error

    for trouble in (ConnectionError("the store went away"), PermissionError("The provided token has expired.")):
        monkeypatch.setattr(buckets, "_store_of", lambda url, error=trouble: (Broken(error), url))
        with pytest.raises(OutOfReach, match=rf"1.png cannot be read .*{trouble}.*run the command again"):
            source.read(1)
    monkeypatch.setattr(buckets, "_store_of", store_of)
    assert np.array_equal(source.read(1), expected)
    store, path = store_of(f"{bucket.url}/1.png")
    store.rm(path)
    with pytest.raises(UnreadableImage, match=r"1.png (does not exist|has changed)"):
        source.read(1)
