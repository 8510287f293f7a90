"""Death, failing disks and lost power at every operation of writing, changing and forgetting files."""

from __future__ import annotations

import errno
import itertools
import json
import os

import pytest

from actatlas.errors import ActatlasError, StorageError
from actatlas.store import FORMAT_VERSION, AtlasFolder, building
from actatlas.testing import faults


def work(root):
    """A build in small: done again from anywhere it has to end in the same files."""
    with building(root) as files:
        if not files.is_finished:
            files.tidy()
        if not files.has("plan.json"):
            files.forget("")
            files.write_json("plan.json", {"format_version": FORMAT_VERSION})
        for number in range(2):
            if not files.has(f"shards/{number}.json"):
                files.write(f"layers/a/{number}.bin", bytes([number]) * 40)
                files.write(f"shards/{number}.json", b"1")
        if files.is_finished and files.has("site/index.html"):
            return
        for version in (b"early", b"late!"):  # as long as one another
            files.write("site/index.html", version)
        files.write("site/layers/old.jpg", b"a photo")
        files.forget("site/layers/")
        files.finish({})


def change(root):
    """What adds to a finished atlas."""
    with building(root) as files, files.reopened():
        files.write("site/index.html", b"newer")
        files.write("layers/a/classes/x.bin", b"more")


@pytest.fixture(scope="module", autouse=True)
def impatient():
    """Whether a disk is asked to flush is what counts here, not how long it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(its files, the operations that made them)"""
    root = tmp_path_factory.mktemp("whole") / "atlas"
    counted = faults.Counting()
    with faults.asking(counted):
        work(root)
    return faults.tree(root), counted.operations


def test_death_at_any_operation_and_again_while_going_on_leads_to_the_same_files(whole, tmp_path):
    expected, operations = whole
    assert len(operations) > 60
    for n, again in zip(range(1, len(operations) + 1), itertools.cycle((None, 3, 9, 17)), strict=False):
        root = tmp_path / f"{n}-{again}"
        for at in (n, again):
            if at is not None:
                with pytest.raises(faults.Died), faults.asking(faults.DyingAt(at)):
                    work(root)
                    raise faults.Died  # it was done before it could
        work(root)
        assert faults.tree(root) == expected, f"died at {operations[n - 1]}"
        AtlasFolder.existing(root).verify()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("stays", [True, False])
def test_a_disk_that_fails_at_any_operation_is_told_and_mended_it_leads_to_the_same_files(whole, tmp_path, code, stays):
    expected, operations = whole
    silent = []
    for n in range(1, len(operations) + 1):
        root, disk = tmp_path / str(n), faults.FailingAt(n, code, stays)
        try:
            with faults.asking(disk):
                work(root)
            silent.append(operations[n - 1][1].name)
        except StorageError as error:
            assert error.exit_code == 7 and str(root) in str(error)
            assert ("disk is full" if code == errno.ENOSPC else os.strerror(code)) in str(error)
        work(root)
        assert faults.tree(root) == expected, f"failed at {operations[n - 1]}"
    assert set(silent) <= {".lock-holder", "atlas", *map(str, range(1, len(operations) + 1))}, "a fault was not told"


def test_a_change_that_fails_leaves_an_atlas_that_verifies_or_continues(whole, tmp_path):
    counted, unfinished = faults.Counting(), set()
    work(tmp_path / "first")
    with faults.asking(counted):
        change(tmp_path / "first")
    changed = faults.tree(tmp_path / "first")
    for n in range(1, len(counted.operations) + 1):
        root = tmp_path / str(n)
        work(root)
        with pytest.raises(StorageError), faults.asking(faults.FailingAt(n, errno.EIO, stays=False)):
            change(root)
            raise StorageError("the name of the holder alone was not written")
        if not AtlasFolder.existing(root).is_finished:
            unfinished.add(counted.operations[n - 1][1].name)
            work(root)
        assert AtlasFolder.existing(root).verify() >= 6, f"failed at {counted.operations[n - 1]}"
        page = (root / "site/index.html").read_bytes()
        assert page in (b"late!", b"newer")
        change(root)
        assert faults.tree(root) == changed
    assert unfinished <= {"manifest.json", "first"}, "only where it is the last step that fails"


def test_lost_power_leaves_a_committed_state_or_one_that_is_made_again(whole, tmp_path):
    expected, _ = whole
    recording = faults.Recording(tmp_path / "recorded")
    with faults.asking(recording):
        work(tmp_path / "recorded")
    states = list(faults.lost_power(recording.steps))
    assert len(states) > 60 and {loss for _, loss, _ in states} >= {"kept", "half", "zeros", "names first"}
    finished = 0
    for number, (done, loss, files) in enumerate(states):
        root = tmp_path / str(number)
        root.mkdir()
        faults.put(files, root)
        if (root / "manifest.json").exists():
            try:
                finished += AtlasFolder.existing(root).verify() > 0
            except ActatlasError as error:
                assert "manifest.json" in str(error), "a manifest came before what it lists"
        work(root)
        assert faults.tree(root) == expected, f"after step {done}, {loss}"
    assert finished >= 2


def test_without_its_flush_a_file_would_be_lost_and_verify_finds_it(tmp_path):
    """The control: the same states of a program that forgets one flush are not all sound."""
    recording = faults.Recording(tmp_path / "recorded")
    with faults.asking(recording):
        work(tmp_path / "recorded")
    careless = [step for step in recording.steps if (step.name, step.path) != ("sync", "layers/a/0.bin")]
    states = [files for _, loss, files in faults.lost_power(careless) if loss == "half" and "manifest.json" in files]
    assert [len(files["layers/a/0.bin"]) for files in states] == [20] * len(states)
    (tmp_path / "lost").mkdir()
    faults.put(states[-1], tmp_path / "lost")
    with pytest.raises(ActatlasError, match=r"layers/a/0\.bin"):
        AtlasFolder.existing(tmp_path / "lost").verify()


def test_what_an_atlas_from_elsewhere_lists_outside_of_itself_is_not_of_it(tmp_path):
    work(tmp_path / "atlas")
    (tmp_path / "secret").write_bytes(b"s")
    entry = {"bytes": 1, "sha256": "0" * 64}
    names = ["../secret", "site/../../secret", str(tmp_path / "secret"), "", "site/\0"]
    with open(tmp_path / "atlas" / "journal.jsonl", "a", encoding="utf-8") as journal:
        for odd in [*({"path": name, **entry} for name in names), {"path": 3}, {"path": "x"}, 7, None, []]:
            journal.write(json.dumps(odd) + "\n")
    files = AtlasFolder.existing(tmp_path / "atlas")
    assert (
        not any(".." in path or path.startswith("/") for path in [*files.committed(), *files.lost]) and files.verify()
    )
