"""Power lost between any two operations of a build, with whatever the disk had not been made to keep.

    python benchmarks/power_loss.py [--states N] [--at FOLDER]

What a small build writes is recorded step by step. After each step the folder is laid out anew as a disk might have it:
what was not flushed is gone, or there, or half there, or zeros of its length, and names before or without what they
name. Then it is opened, verified if it says that it is finished, and the build goes on. `broken` is the control: the
same without one flush of a file, which has to be found.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import crashes
from actatlas.errors import ActatlasError
from actatlas.store import AtlasFolder
from actatlas.testing import faults


def recorded(bench: crashes.Bench) -> list[faults.Step]:
    steps = faults.Recording(bench.folder / "recorded")
    with faults.asking(steps):
        bench.build(bench.folder / "recorded")
    return steps.steps


def outcome(bench: crashes.Bench, files: dict[str, bytes]) -> tuple[str, str]:
    """(what the folder was found to be, what is wrong in the end)"""
    out = bench.fresh()
    out.mkdir()
    faults.put(files, out)
    found = "nothing yet"
    if files:
        try:
            atlas = AtlasFolder.existing(out)
            found = "growing"
            if atlas.is_finished:
                atlas.verify()
                found = "finished"
        except ActatlasError as error:
            found = f"refused ({type(error).__name__})"
    return found, bench.continued(out)


def spread(states: Sequence, most: int) -> list:
    """At most so many, evenly."""
    if len(states) <= most:
        return list(states)
    return [states[round(i * (len(states) - 1) / (most - 1))] for i in range(most)]


def lose_power(bench: crashes.Bench, steps: Sequence[faults.Step], most: int) -> tuple[crashes.Count, Counter]:
    started, found = time.monotonic(), Counter()
    count = crashes.Count("states after power was lost")
    for done, loss, files in spread(list(faults.lost_power(steps)), most):
        state, problem = outcome(bench, files)
        found[state] += 1
        crashes.note(count, problem, f"after step {done} ({steps[done - 1].name} {steps[done - 1].path}), {loss}")
    count.seconds = time.monotonic() - started
    return count, found


def without_flush(steps: Sequence[faults.Step], path: str) -> list[faults.Step]:
    """As a careless program would have written this file."""
    return [step for step in steps if (step.name, step.path) != ("sync", path)]


def broken(bench: crashes.Bench, steps: Sequence[faults.Step], path: str) -> bool:
    """Whether the loss of a file that was never flushed, in an atlas that was finished, is found by verify."""
    _, _, files = list(faults.lost_power(without_flush(steps, path)))[-1]
    files = {name: data for name, data in files.items() if name != path} | {path: bytes(len(files[path]))}
    out = bench.fresh()
    out.mkdir()
    faults.put(files, out)
    try:
        AtlasFolder.existing(out).verify()
    except ActatlasError as error:
        return path in str(error)
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=10_000, metavar="N", help="at most so many, evenly spread")
    parser.add_argument("--at", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    crashes.be_one_thread()
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=options.at or (shm if shm.is_dir() else None)) as folder:
        bench = crashes.Bench(Path(folder))
        steps = recorded(bench)
        shutil.rmtree(bench.folder / "recorded")
        print(f"{len(steps)} steps", flush=True)
        count, found = lose_power(bench, steps, options.states)
        print(f"{count}\n  found as: {', '.join(f'{state} {n}' for state, n in found.most_common())}")
        caught = broken(bench, steps, "layers/first/layout.safetensors")
        print(f"a file that was never flushed is {'found' if caught else 'NOT found'} by verify")
    return int(bool(count.problems) or not caught)


if __name__ == "__main__":
    sys.exit(main())
