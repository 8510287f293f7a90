"""For tests, ours and others': death, failing disks and lost power at any of the operations that reach the disk.

`store/durable.py` asks before each of them; what stands here answers.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from actatlas.store import durable

# Of one atlas, what differs from run to run: measured times, in which order files came, who holds it.
UNLIKE = ("timings.json", "journal.jsonl", "asked.json", ".lock", ".lock-holder")


class Died(BaseException):
    """The process is gone: nothing that it still tries reaches the disk."""


@contextmanager
def asking(answer: Callable[[str, Path], None]) -> Iterator[None]:
    """While this lasts, `answer` is asked before each operation."""
    before = durable.before_operation
    durable.before_operation = answer
    try:
        yield
    finally:
        durable.before_operation = before


class Counting:
    """How many operations there were; `operations` names them."""

    def __init__(self) -> None:
        self.operations: list[tuple[str, Path]] = []

    def __call__(self, name: str, path: Path) -> None:
        self.operations.append((name, path))


class DyingAt(Counting):
    """Death at the n-th operation, counted from 1. In the process itself, or really, by os._exit."""

    def __init__(self, n: int, really: bool = False):
        super().__init__()
        self._n, self._really = n, really

    def __call__(self, name: str, path: Path) -> None:
        super().__call__(name, path)
        if len(self.operations) >= self._n:
            if self._really:
                os._exit(9)
            raise Died


class FailingAt(Counting):
    """The n-th operation fails as a full or broken disk does, and all after it where `stays`."""

    def __init__(self, n: int, code: int = errno.ENOSPC, stays: bool = True):
        super().__init__()
        self._n, self._code, self._stays = n, code, stays

    @property
    def at(self) -> Path:
        """The path that failed first; of a folder's flush, what was changed in it just before."""
        name, path = self.operations[self._n - 1]
        return self.operations[self._n - 2][1] if name == "sync-folder" and self._n > 1 else path

    def __call__(self, name: str, path: Path) -> None:
        super().__call__(name, path)
        if len(self.operations) == self._n or (self._stays and len(self.operations) > self._n):
            raise OSError(self._code, os.strerror(self._code), str(path))


def tree(folder: Path, without: tuple[str, ...] = UNLIKE) -> dict[str, str]:
    """{path: sha256} of every file, hidden ones too."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {
        name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in sorted(files.items()) if name not in without
    }


# --- power


@dataclass(frozen=True)
class Step:
    """One operation; data: what the file holds once a "write" or "append" is done."""

    name: str
    path: str
    data: bytes = b""


class Recording(Counting):
    """What a run writes below `root`, step by step, so that power can be lost after each of them."""

    def __init__(self, root: Path):
        super().__init__()
        self._root = root
        self.steps: list[Step] = []

    def __call__(self, name: str, path: Path) -> None:
        super().__call__(name, path)
        if not path.is_relative_to(self._root):
            return
        own = path.relative_to(self._root).as_posix()
        if name == "sync":  # what was written lies there, and is not flushed yet
            last = self.steps[-1].name
            file = path if last == "append" else _temporary(path)
            self.steps[-1] = Step(last, own, file.read_bytes())
        self.steps.append(Step(name, own))


@dataclass
class _Contents:
    now: bytes = b""
    sure: bytes = b""  # once they are flushed


@dataclass
class Disk:
    """A folder between two operations: what the system shows, and what would still be there without power."""

    names: dict[str, _Contents] = field(default_factory=dict)
    sure_names: dict[str, _Contents] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {"."})
    sure_folders: set[str] = field(default_factory=lambda: {"."})

    def do(self, step: Step, last: Step | None) -> None:
        """last: the step before it, which says what a "sync" is of"""
        path = step.path
        temporary = path if path == "." else _temporary(Path(path)).as_posix()
        if step.name == "folder":
            self.folders.add(path)
        elif step.name == "write":
            self.names[temporary] = _Contents(step.data)
        elif step.name == "append":
            self.names.setdefault(path, _Contents()).now = step.data
        elif step.name == "sync":
            contents = self.names[path if last is not None and last.name == "append" else temporary]
            contents.sure = contents.now
        elif step.name == "rename":
            self.names[path] = self.names.pop(temporary)
        elif step.name == "remove":
            self.names.pop(path, None)
        elif step.name == "sync-folder":
            is_in = [name for name in {*self.names, *self.sure_names} if Path(name).parent.as_posix() == path]
            for name in is_in:
                self.sure_names.pop(name, None)
                if name in self.names:
                    self.sure_names[name] = self.names[name]
            self.sure_folders |= {folder for folder in self.folders if Path(folder).parent.as_posix() == path}

    def without_power(self, loss: str) -> dict[str, bytes]:
        """{path: bytes} that are there when it is back. loss: one of LOSSES"""
        names = self.sure_names if loss in ("dropped", "data first") else self.names
        folders = self.sure_folders if loss in ("dropped", "data first") else self.folders
        found = {}
        for path, contents in names.items():
            if not {parent.as_posix() for parent in Path(path).parents} <= folders:
                continue
            unsure = len(contents.now) - len(contents.sure) if contents.now.startswith(contents.sure) else 0
            found[path] = {
                "dropped": contents.sure,
                "names first": contents.sure,
                "kept": contents.now,
                "data first": contents.now,
                "half": contents.now[: len(contents.sure) + unsure // 2],
                "zeros": contents.sure + bytes(unsure),
            }[loss]
        return found


# What becomes of that which was not flushed: it is gone, or there, half of it, or zeros of its length; names are there
# before what they name, or the other way round.
LOSSES = ("dropped", "kept", "half", "zeros", "names first", "data first")


def lost_power(steps: Sequence[Step]) -> Iterator[tuple[int, str, dict[str, bytes]]]:
    """(steps done, loss, files) of every state that differs from those before it."""
    disk, seen = Disk(), set()
    for count, step in enumerate(steps, start=1):
        disk.do(step, steps[count - 2] if count > 1 else None)
        for loss in LOSSES:
            files = disk.without_power(loss)
            key = hash(frozenset(files.items()))
            if key not in seen:
                seen.add(key)
                yield count, loss, files


def put(files: Mapping[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
