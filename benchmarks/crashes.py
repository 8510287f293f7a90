"""Every way to die while an atlas is built, and what a build that goes on makes of it.

    python benchmarks/crashes.py [deaths] [failures] [kills] [damage] [--adding photos|layers] [--every N] [--kills N]

deaths: a process that ends at every operation that reaches the disk; failures: a full, a broken and a forbidden disk at
every one; kills: SIGKILL at random moments, one to five a build; damage: each file of an unfinished atlas zeroed, cut
short, or taken away. After each the same build goes on, and its files are compared with those of one that nothing
happened to. With --adding the same while photos or a layer are added to a finished atlas.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from actatlas.errors import ActatlasError, DiskFull, StorageError
from actatlas.store import AtlasFolder
from actatlas.testing import faults
from actatlas.testing.small import LAYERS, small_build, small_network, small_photos
from actatlas.values import Examples

Adding = Literal["photos", "layers"]
WAYS = ("deaths", "failures", "kills", "damage")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


@dataclass
class Count:
    """trials, and what went wrong in them, in words"""

    what: str
    trials: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    told: str = ""

    def __str__(self) -> str:
        wrong = "".join(f"\n    {problem}" for problem in self.problems[:10])
        return f"{self.what}: {self.trials}, {len(self.problems)} wrong{self.told}, {self.seconds:.0f} s{wrong}"


class Bench:
    """A small build that nothing happened to, to compare with; torch is loaded, and what numba compiles is there.

    adding: that part of it is not in the first place, but added to a finished atlas; dying is then dying while it is
    """

    def __init__(self, folder: Path, examples: Examples = "patches", adding: Adding | None = None):
        self.folder, self._examples, self._adding = folder, examples, adding
        self.photos = small_photos(folder / "photos")
        self.network = small_network()
        self.begun = folder / "units-begun"
        if adding is not None:
            first = small_photos(folder / "first", count=8) if adding == "photos" else self.photos
            layers = LAYERS[:1] if adding == "layers" else LAYERS
            small_build(first, folder / "first-atlas", self.network, examples=examples, layers=layers)
        self.operations = faults.Counting()
        with faults.asking(self.operations):
            self.build(self.fresh("whole"))
        self.expected = faults.tree(folder / "whole")
        self.begun.write_bytes(b"")
        with counted_units(self.begun):
            started = time.monotonic()
            self.build(self.fresh("again"))
            self.seconds = time.monotonic() - started
        self.units = len(self.begun.read_bytes())
        assert faults.tree(folder / "again") == self.expected, "two builds that nothing happened to differ"

    def build(self, out: Path) -> None:
        add = self._adding is not None
        small_build(self.photos, out, self.network, examples=self._examples, add=add)

    def fresh(self, name: str = "trial") -> Path:
        """Where to build: nothing, or the atlas that is added to."""
        out = self.folder / name
        shutil.rmtree(out, ignore_errors=True)
        if self._adding is not None:
            shutil.copytree(self.folder / "first-atlas", out)
        return out

    def copied(self, is_finished: bool = False) -> Path:
        """Of what nothing happened to, as it was before its last step, or with it."""
        out = shutil.copytree(self.folder / "whole", self.fresh(), dirs_exist_ok=True)
        if not is_finished:
            (out / "manifest.json").unlink()
        return out

    def differs(self, out: Path) -> str:
        """How the files of a finished atlas differ from those expected; empty where they do not."""
        found = faults.tree(out)
        if found == self.expected:
            AtlasFolder.existing(out).verify()
            return ""
        names = sorted(n for n in {*found, *self.expected} if found.get(n) != self.expected.get(n))
        return f"differs in {', '.join(names[:4])}{' …' if len(names) > 4 else ''}"

    def continued(self, out: Path) -> str:
        """The same build again; what is wrong with what it leaves."""
        try:
            self.build(out)
        except ActatlasError as error:
            return f"cannot go on: {error}"
        return self.differs(out)

    # --- ways

    def deaths(self, every: int = 1, first: int = 1) -> Count:
        """A child that ends at the n-th operation, without a word; its parent goes on."""
        count = Count("deaths at an operation")
        for n in range(first, len(self.operations.operations) + 1, every):
            out = self.fresh()

            def dying(out: Path = out, n: int = n) -> None:
                with faults.asking(faults.DyingAt(n, really=True)):
                    self.build(out)

            status = os.waitstatus_to_exitcode(os.waitpid(forked(dying), 0)[1])
            problem = f"the child ended with {status}" if status != 9 else self.continued(out)
            note(count, problem, f"at operation {n}, {self.operations.operations[n - 1]}")
        return count

    def failures(self, every: int = 1, first: int = 1) -> Count:
        """One operation fails; a full or forbidden disk stays so, a broken one may work again at once. Then the disk is
        mended, and the build goes on.
        """
        count = Count("operations that fail")
        for n in range(first, len(self.operations.operations) + 1, every):
            for code in ERRORS:
                out, disk = self.fresh(), faults.FailingAt(n, code, stays=code != errno.EIO)
                problem = self.told(out, disk, code) or self.continued(out)
                note(count, problem, f"{errno.errorcode[code]} at {n}, {disk.operations[n - 1]}")
        return count

    def told(self, out: Path, disk: faults.FailingAt, code: int) -> str:
        try:
            with faults.asking(disk):
                self.build(out)
        except StorageError as error:
            reason = "disk is full" if code == errno.ENOSPC else os.strerror(code)
            told = str(error)
            is_right = error.exit_code == 7 and isinstance(error, DiskFull) == (code == errno.ENOSPC)
            return "" if is_right and reason in told and str(out) in told else f"says: {told}"
        except Exception as error:
            return f"a fault of ours: {error!r}"
        # Measured times, a name that nobody reads and leftovers may be lost, or stay, without a word.
        is_needed = disk.at.name not in ("timings.json", ".lock-holder") and not disk.at.name.startswith(".")
        return "it was not told" if is_needed else ""

    def kills(self, kills: int, seed: int = 0) -> Count:
        """SIGKILL at uniform moments of a build, one to five, each but the last during what the others left."""
        count, chance = Count("SIGKILLs"), random.Random(seed)
        lost_units = most_lost = 0
        with counted_units(self.begun):
            while count.trials < kills:
                out, wanted = self.fresh(), min(chance.randint(1, 5), kills - count.trials)
                self.begun.write_bytes(b"")
                for _ in range(wanted):
                    child = forked(lambda out=out: self.build(out))
                    time.sleep(chance.uniform(0, self.seconds))
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                problem = self.continued(out)
                lost = len(self.begun.read_bytes()) - self.units
                lost_units, most_lost = lost_units + lost, max(most_lost, lost - wanted)
                if not problem and lost > wanted:
                    problem = f"{lost} units done again after {wanted} kills"
                count.trials += wanted - 1
                note(count, problem, f"after {wanted} kills")
        count.told = f", {lost_units} units of work done again"
        return count

    def damage(self, every: int = 1) -> Count:
        """A disk that lied: of an atlas that was not finished, one file is not what was flushed.

        Of one that was added to, nothing else knows its plan and its list: damaged, it has to be told what to bring
        back, and to go on once it is back. What the pilot measured on the first photos is measured on all: another
        atlas, and a whole one.
        """
        count, refused = Count("files damaged behind our back"), 0
        for name in list(self.expected)[::every]:
            if name == "manifest.json":
                continue
            for how in ("zeroed", "cut", "gone", "flipped"):
                out = self.copied()
                spoil(out / name, how)
                problem = self.continued(out)
                if (
                    self._adding
                    and name in ("plan.json", "images.csv")
                    and "bring the file back from a copy" in problem
                ):
                    refused += 1
                    shutil.copy(self.folder / "whole" / name, out / name)
                    problem = self.continued(out)
                if self._adding == "photos" and name.startswith("pilot.") and problem.startswith("differs"):
                    AtlasFolder.existing(out).verify()
                    problem = ""
                note(count, problem, f"{name} {how}")
        count.told = f", {refused} of them refused until the file was brought back" if self._adding else ""
        return count


def be_one_thread() -> None:
    """A process in which OpenMP has begun cannot be forked. Before anything is computed."""
    os.environ.update(NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1")
    import torch

    torch.set_num_threads(1)


def spoil(file: Path, how: str) -> None:
    data = file.read_bytes()
    if how == "gone":
        file.unlink()
    elif how == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif how == "flipped":
        middle = len(data) // 2
        file.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    else:
        file.write_bytes(bytes(len(data)))


def forked(work: Callable[[], None]) -> int:
    """A child that does this and ends; its number."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr)
            os._exit(1)
    return child


class counted_units:  # noqa: N801  read as a word: with counted_units(file)
    """A byte is added to `file` whenever a shard or a round of icons is begun, in this process and its children."""

    def __init__(self, file: Path):
        self._file = file

    def __enter__(self) -> None:
        from actatlas.collect import Collector
        from actatlas.inversion import Painting

        self._before = [
            (cls, name, getattr(cls, name)) for cls, name in ((Collector, "_collect"), (Painting, "paint_round"))
        ]
        for cls, name, method in self._before:
            setattr(cls, name, self._noting(method))

    def _noting(self, method: Callable) -> Callable:
        def noted(*arguments: object) -> object:
            with open(self._file, "ab") as file:
                file.write(b".")
            return method(*arguments)

        return noted

    def __exit__(self, *_: object) -> None:
        for cls, name, method in self._before:
            setattr(cls, name, method)


def note(count: Count, problem: str, where: str) -> None:
    count.trials += 1
    if problem:
        count.problems.append(f"{where}: {problem}")
        print(f"  {where}: {problem}", file=sys.stderr, flush=True)


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"{', '.join(WAYS)}; all, where none is named")
    parser.add_argument("--adding", choices=get_args(Adding), help="while these are added to a finished atlas")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th operation or file")
    parser.add_argument("--kills", type=int, default=200, metavar="N")
    parser.add_argument("--examples", default="patches", choices=("none", "patches"), help="what the page shows")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the kills' moments")
    parser.add_argument(
        "--at", type=Path, metavar="FOLDER", help="where to build; default: in memory, or where temporary files go"
    )
    options = parser.parse_args(arguments)
    be_one_thread()
    shm = Path("/dev/shm")
    home = options.at or (shm if shm.is_dir() else None)
    with tempfile.TemporaryDirectory(dir=home) as folder:
        bench = Bench(Path(folder), options.examples, options.adding)
        steps, files = len(bench.operations.operations), len(bench.expected)
        print(f"a build: {steps} operations, {files} files, {bench.seconds:.2f} s", flush=True)
        counts = []
        for way in options.ways or WAYS:
            started = time.monotonic()
            count = bench.kills(options.kills, options.seed) if way == "kills" else getattr(bench, way)(options.every)
            count.seconds = time.monotonic() - started
            print(count, flush=True)
            counts.append(count)
    return int(any(count.problems for count in counts))


if __name__ == "__main__":
    sys.exit(main())
