"""A file that kills, stalls or bloats its decoder is one skipped photo, and all others are as they would be."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from actatlas.errors import UnreadableImage
from actatlas.images import IsolationSettings, decode, isolated_decoding, open_source

FAULTY = (sys.executable, str(Path(__file__).with_name("faulty_worker.py")))
REASONS = {
    "segv": "its decoder died (SIGSEGV)",
    "exit": "its decoder died (exit 3)",
    "hang": "decoding it does not come to an end",
    "loop": "decoding it does not come to an end",
    "oom": "does not fit into memory",
}


def read(source, numbers) -> dict[int, np.ndarray | str]:
    def one(number: int) -> np.ndarray | str:
        try:
            return np.asarray(source.read(number))
        except UnreadableImage as error:
            return error.reason

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(numbers, pool.map(one, numbers), strict=True))


def test_workers_give_the_same_pixels_and_reasons(drawn_photos, tmp_path):
    bad = {"empty.jpg": b"", "text.jpg": b"hello", "cut.jpg": (drawn_photos / "01.jpg").read_bytes()[:3000]}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    source = open_source([*sorted(drawn_photos.iterdir())[:8], *(tmp_path / name for name in bad)])
    numbers = range(len(source.records))
    here = read(source, numbers)
    threads = threading.active_count()
    with isolated_decoding():
        apart = read(source, numbers)
        reduced = source.read_reduced(1, 64)
    assert all(np.array_equal(here[number], apart[number]) for number in numbers)
    assert [apart[number] for number in numbers[8:]] == [here[number] for number in numbers[8:]]
    assert np.array_equal(reduced, source.read_reduced(1, 64)) and threading.active_count() == threads


def test_each_fault_is_one_skipped_photo_and_the_rest_goes_on(drawn_photos, tmp_path):
    good = [path for path in sorted(drawn_photos.iterdir()) if path.suffix == ".jpg"][:6]
    paths = []
    for number, path in enumerate(good):
        paths.append(path)
        fault = [*REASONS, None][number]
        if fault is not None:
            mutant = tmp_path / f"{fault}.jpg"
            mutant.write_bytes(path.read_bytes() + f"fault:{fault}".encode())
            paths.append(mutant)
    source = open_source(paths)
    alone = {path: np.asarray(decode(path.read_bytes())) for path in good}
    with isolated_decoding(settings=IsolationSettings(cpu_s=1, wall_s=6, worker=FAULTY)):
        found = read(source, range(len(paths)))
    for number, path in enumerate(paths):
        if path in alone:
            assert np.array_equal(found[number], alone[path]), path
        else:
            assert found[number].startswith(REASONS[path.stem]), path


def test_no_worker_stays_behind(drawn_photos):
    others = _children()  # of tests before this one
    with isolated_decoding():
        decode((drawn_photos / "01.jpg").read_bytes())
        children = _children() - others
        assert children
    assert not children & _children()


def _children() -> set[str]:
    return {pid for task in os.listdir("/proc/self/task")
            for pid in Path(f"/proc/self/task/{task}/children").read_text().split()}  # fmt: skip
