"""The atlas folder: which files are committed, and the manifest that makes it a finished atlas.

`journal.jsonl` lists every committed file as it comes, so a growing atlas can be continued and looked at.
`manifest.json`, written last, lists every file with its size and hash: a folder without it is not finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from actatlas.errors import FolderTaken, NotAnAtlas, StorageError, UnfinishedAtlas, VerificationFailed
from actatlas.store.durable import append_line, write_file

FORMAT_VERSION = 4
Found = TypeVar("Found")
_OURS = {"plan.json", "journal.jsonl", "manifest.json", "timings.json", ".lock", ".lock-holder"}


class AtlasFolder:
    """Reads and writes the files of one atlas; every path is relative to the folder, with forward slashes."""

    def __init__(self, root: Path):
        self.root = root
        self._committed: dict[str, dict[str, Any]] = {}
        self._read_journal()

    # --- opening

    @classmethod
    def begin(cls, root: Path) -> AtlasFolder:
        """A folder to build in: new, empty, or an atlas that was begun. Raises FolderTaken for anything else."""
        if root.exists() and not root.is_dir():
            raise FolderTaken(f"{root} is a file; choose another --out", path=str(root))
        if root.is_dir() and not (root / "plan.json").exists():
            others = sorted(p.name for p in root.iterdir() if p.name not in _OURS and not p.name.endswith(".tmp"))
            if others:
                raise FolderTaken(
                    f"{root} holds something that is not an atlas ({others[0]}); choose another --out", path=str(root)
                )
        return cls(root)

    @classmethod
    def existing(cls, root: Path) -> AtlasFolder:
        """An atlas, finished or growing. Raises NotAnAtlas."""
        folder = cls(root)
        if not (root / "plan.json").is_file():
            found = "is not an atlas (it has no plan.json)" if root.exists() else "is not there"
            raise NotAnAtlas(
                f"{root} {found}; give a folder that actatlas build wrote: actatlas build IMAGES --out DIR",
                path=str(root),
            )
        version = folder.read_json("plan.json").get("format_version")
        if version != FORMAT_VERSION:
            raise NotAnAtlas(
                f"{root} has format {version}, this actatlas reads {FORMAT_VERSION}; use the version that made it",
                path=str(root),
            )
        return folder

    @property
    def is_finished(self) -> bool:
        return (self.root / "manifest.json").is_file()

    # --- writing

    def write(self, path: str, data: bytes) -> None:
        """Commit one file: durable first, in the journal after."""
        write_file(self.root / path, data)
        entry = {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if self._committed.get(path) != entry:
            append_line(self.root / "journal.jsonl", json.dumps(entry, sort_keys=True))
        self._committed[path] = entry

    def write_json(self, path: str, value: Any) -> None:
        self.write(path, to_json(value))

    def write_arrays(self, path: str, arrays: Mapping[str, np.ndarray | None]) -> None:
        """Arrays as safetensors; those that are None are left out."""
        self.write(path, save({k: np.ascontiguousarray(v) for k, v in arrays.items() if v is not None}))

    def write_uncounted(self, path: str, value: Any) -> None:
        """A JSON file outside the manifest: what differs from run to run, such as measured times."""
        write_file(self.root / path, to_json(value))

    def finish(self, extra: Mapping[str, Any]) -> None:
        """Write the manifest: the atlas is now whole."""
        files = {p: {k: e[k] for k in ("bytes", "sha256")} for p, e in sorted(self._committed.items())}
        manifest = to_json({"format_version": FORMAT_VERSION, **extra, "files": files})
        target = self.root / "manifest.json"
        if not target.is_file() or target.read_bytes() != manifest:
            write_file(target, manifest)

    def reopen(self) -> None:
        """Take the manifest away before a finished atlas is changed."""
        (self.root / "manifest.json").unlink(missing_ok=True)

    @contextmanager
    def reopened(self) -> Iterator[None]:
        """For a change to a finished atlas that takes no longer than writing does: it is finished again afterwards."""
        manifest = self.read_json("manifest.json")
        self.reopen()
        try:
            yield
        finally:
            self.finish({k: v for k, v in manifest.items() if k not in ("format_version", "files")})

    def forget(self, prefix: str) -> None:
        """Drop the files under `prefix` from what counts as done, and from the disk; the journal notes it."""
        for path in self.committed(prefix):
            append_line(self.root / "journal.jsonl", json.dumps({"path": path, "dropped": True}))
            del self._committed[path]
            (self.root / path).unlink(missing_ok=True)

    # --- reading

    def has(self, path: str) -> bool:
        return path in self._committed

    def committed(self, prefix: str = "") -> list[str]:
        return sorted(p for p in self._committed if p.startswith(prefix))

    def read_json(self, path: str) -> Any:
        try:
            return json.loads((self.root / path).read_bytes())
        except FileNotFoundError:
            raise self._missing(path) from None
        except (ValueError, UnicodeDecodeError):
            raise self._damaged(path) from None

    def read_bytes(self, path: str) -> bytes:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            raise self._missing(path) from None

    def array_names(self, path: str) -> set[str]:
        """Which arrays a file holds; none of them is read."""
        return set(self._opened_arrays(path, lambda file: file.keys()))

    def read_arrays(self, path: str, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
        """The named arrays (default: all that are there); others are not read from the disk."""

        def read(file: Any) -> dict[str, np.ndarray]:
            present = set(file.keys())
            wanted = present if names is None else present & set(names)
            return {name: file.get_tensor(name) for name in wanted}

        return self._opened_arrays(path, read)

    def _opened_arrays(self, path: str, read: Callable[[Any], Found]) -> Found:
        try:
            with safe_open(self.root / path, framework="numpy") as file:
                return read(file)
        except FileNotFoundError:
            raise self._missing(path) from None
        except SafetensorError:
            raise self._damaged(path) from None

    def verify(self) -> int:
        """Hash every file of the manifest; how many there are. Raises VerificationFailed naming some that differ."""
        if not self.is_finished:
            raise UnfinishedAtlas(
                f"{self.root} is not finished: it has no manifest; run its build command again, which continues",
                path=str(self.root),
            )
        files = self.read_json("manifest.json")["files"]
        wrong = [p for p, entry in files.items() if not self._is_intact(p, entry)]
        if wrong:
            names = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
            raise VerificationFailed(
                f"{self.root}: {len(wrong)} of {len(files)} files are missing or differ from the manifest: {names}; "
                "restore them from a copy, or delete them and run the build command again",
                files=wrong,
            )
        return len(files)

    # --- inside

    def _is_intact(self, path: str, entry: Mapping[str, Any]) -> bool:
        file = self.root / path
        if not file.is_file() or file.stat().st_size != entry["bytes"]:
            return False
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == entry["sha256"]

    def _read_journal(self) -> None:
        journal = self.root / "journal.jsonl"
        if not journal.is_file() and self.is_finished:  # a published copy travels with its manifest alone
            self._committed = {p: {"path": p, **e} for p, e in self.read_json("manifest.json")["files"].items()}
        lines = journal.read_bytes().split(b"\n") if journal.is_file() else []
        for line in lines:
            try:
                entry = json.loads(line)
                path = entry["path"]
            except (ValueError, KeyError, TypeError):
                continue  # a line that a crash cut short: its file was not committed
            if entry.get("dropped"):
                self._committed.pop(path, None)
            else:
                self._committed[path] = entry
        for path, entry in list(self._committed.items()):
            file = self.root / path
            if not file.is_file() or file.stat().st_size != entry["bytes"]:
                del self._committed[path]

    def _missing(self, path: str) -> StorageError:
        return UnfinishedAtlas(
            f"{self.root} lacks {path}; run its build command again, which continues", path=str(self.root / path)
        )

    def _damaged(self, path: str) -> StorageError:
        return NotAnAtlas(
            f"{self.root / path} is damaged; delete it and run the build command again", path=str(self.root / path)
        )


def to_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
