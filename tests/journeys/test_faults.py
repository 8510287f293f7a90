"""A real build, killed, starved and lied to by its disk, goes on to the same files. More: benchmarks/crashes.py."""

from __future__ import annotations

import errno
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from actatlas.atlas import Atlas
from actatlas.errors import NotAnAtlas, PlanChanged
from actatlas.store import AtlasFolder
from actatlas.testing import faults
from actatlas.testing.small import small_build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def crashes():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("crashes")


@pytest.fixture(scope="module")
def bench(crashes, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield crashes.Bench(tmp_path_factory.mktemp("bench"))


def some(bench, count, offset=0):
    """As many of the operations, spread over the build."""
    last = len(bench.operations.operations)
    return [1 + (offset + i * last // count) % last for i in range(count)]


def test_a_build_that_dies_at_an_operation_goes_on_to_the_same_files(bench):
    for n in some(bench, 10):
        out = bench.fresh()
        with pytest.raises(faults.Died), faults.asking(faults.DyingAt(n)):
            bench.build(out)
        assert bench.continued(out) == "", f"at operation {n}, {bench.operations.operations[n - 1]}"


@pytest.mark.parametrize("adding", ["photos", "layers"])
def test_adding_that_dies_at_an_operation_goes_on_to_the_same_files(crashes, tmp_path, monkeypatch, adding):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    bench = crashes.Bench(tmp_path, "none", adding)
    last = len(bench.operations.operations)
    for n in sorted({*range(2, 60, 4), *some(bench, 6, last // 12)}):  # list and plan are written early
        out = bench.fresh()
        with pytest.raises(faults.Died), faults.asking(faults.DyingAt(n)):
            bench.build(out)
        assert bench.continued(out) == "", f"at operation {n}, {bench.operations.operations[n - 1]}"


def test_a_full_broken_or_forbidden_disk_is_told_and_the_build_goes_on_to_the_same_files(bench):
    for i, n in enumerate(some(bench, 6, 40)):
        code = (errno.ENOSPC, errno.EIO, errno.EACCES)[i % 3]
        out, disk = bench.fresh(), faults.FailingAt(n, code, stays=i < 3)
        assert bench.told(out, disk, code) == "" and bench.continued(out) == "", f"{code} at {n}, {disk.at}"


@pytest.mark.parametrize(
    ("pattern", "how"),
    [("plan.json", "gone"), ("plan.json", "cut"), ("plan.json", "flipped"),
     ("pilot.safetensors", "zeroed"), ("layers/*/activations/00001.safetensors", "flipped"),
     ("layers/*/layout.safetensors", "cut"), ("layers/*/expectation.safetensors", "zeroed"),
     ("layers/*/grids/2/icons/00000.safetensors", "zeroed"), ("site/layers/*/patches/0.jpg", "cut")],
)  # fmt: skip
def test_a_file_that_the_disk_did_not_keep_is_made_again(bench, crashes, pattern, how):
    out = bench.copied()
    crashes.spoil(next(iter(sorted(out.glob(pattern)))), how)
    assert bench.continued(out) == ""


def test_a_damaged_plan_costs_nothing_and_one_of_another_command_is_not_begun_anew(bench, crashes):
    out = bench.copied()
    shards = {path: path.stat().st_mtime_ns for path in sorted(out.glob("layers/*/activations/*"))}
    for how, told in (("zeroed", "damaged"), ("flipped", "damaged"), ("gone", "lost")):
        crashes.spoil(out / "plan.json", how)
        with pytest.raises(NotAnAtlas, match=f"plan.json is {told}, and was of another command than this"):
            small_build(bench.photos, out, bench.network, examples="patches", seed=1)
        assert bench.continued(out) == ""
        (out / "manifest.json").unlink()
    assert bench.continued(out) == ""
    crashes.spoil(out / "plan.json", "flipped")  # of a finished atlas, and of the same size
    assert bench.continued(out) == ""
    assert shards and {path: path.stat().st_mtime_ns for path in shards} == shards


@pytest.mark.parametrize("adding", ["photos", "layers"])
def test_what_is_damaged_before_something_is_added_is_made_again_or_told(crashes, tmp_path, monkeypatch, adding):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    bench = crashes.Bench(tmp_path, "none", adding)
    for pattern in ("places/00000.safetensors", "layers/first/activations/00001.safetensors", "images.csv"):
        for how in ("flipped", "gone"):
            out = bench.fresh()
            crashes.spoil(out / pattern, how)
            assert bench.continued(out) == "", f"{pattern} {how}"
    only_here = ["plan.json", "images.csv"] if adding == "photos" else ["plan.json"]  # of an atlas that was added to
    for name in only_here:
        out, whole = bench.copied(), (tmp_path / "whole" / name).read_bytes()
        for how in ("zeroed", "cut", "gone"):
            (out / name).write_bytes(whole)
            crashes.spoil(out / name, how)
            kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
            with pytest.raises(NotAnAtlas, match=f"{name} is .*bring the file back from a copy"):
                bench.build(out)
            assert kept == {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
        (out / name).write_bytes(whole)
        assert bench.continued(out) == ""


def test_a_damaged_table_of_photos_is_told(bench, crashes):
    for how in ("zeroed", "cut"):
        out = bench.copied(is_finished=True)
        crashes.spoil(out / "images.csv", how)
        with pytest.raises(NotAnAtlas, match=r"images.csv is damaged; delete it and run the build command again"):
            Atlas(AtlasFolder.existing(out)).images  # noqa: B018


def test_a_file_that_is_taken_from_a_finished_atlas_is_made_again(bench):
    for name in ("places/00000.safetensors", "layers/second/grids/2/cells.safetensors", "images.csv"):
        out = bench.copied(is_finished=True)
        (out / name).unlink()
        assert bench.continued(out) == "", name


def test_a_finished_build_computes_and_writes_nothing(bench):
    out, counted = bench.copied(is_finished=True), faults.Counting()
    with faults.asking(counted):
        bench.build(out)
    assert {path.name for _, path in counted.operations} <= {".lock-holder", out.name}


def test_a_photo_that_was_replaced_by_one_of_its_size_is_another_list(bench):
    out, photo = bench.copied(), next(iter(sorted(bench.photos.iterdir())))
    data = photo.read_bytes()
    photo.write_bytes(data[::-1])
    with pytest.raises(PlanChanged, match="begun with other photos;"):
        bench.build(out)
    photo.write_bytes(data)
    assert bench.continued(out) == ""


@pytest.mark.parametrize(
    ("script", "arguments"),
    [("crashes.py", ("kills", "--kills", "5")), ("writers.py", ("--rounds", "4")),
     ("server_fuzz.py", ("--requests", "250"))],
)  # fmt: skip
def test_a_small_share_of_each_benchmark_finds_nothing_wrong(script, arguments):
    run = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *arguments], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
