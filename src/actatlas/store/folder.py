"""The atlas folder: which files are committed, and the manifest that makes it a finished atlas.

`journal.jsonl` lists every committed file as it comes, so a growing atlas can be continued and looked at.
`manifest.json`, written last, lists every file with its size and hash: a folder without it is not finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from actatlas.errors import FolderTaken, NotAnAtlas, StorageError, UnfinishedAtlas, VerificationFailed
from actatlas.store import durable
from actatlas.store.durable import append_line, write_file
from actatlas.store.lock import writing

FORMAT_VERSION = 4
Found = TypeVar("Found")
_PAGE = "index.html", "app.js", "atlas.js"  # of a page that stands alone
_OURS = {"plan.json", "journal.jsonl", "manifest.json", "timings.json", "asked.json", ".lock", ".lock-holder"}
# What only we write into: a file there that no list names was cut short on its way into the journal.
_OWN_FOLDERS = ("layers", "shards", "places", "predictions", "site/layers", "site/thumbs", "site/originals")


@contextmanager
def building(root: Path) -> Iterator[AtlasFolder]:
    """A folder to build in, held for this process: new, empty, or an atlas that was begun.

    Raises FolderTaken for anything else, before it is touched; Locked, StorageError.
    """
    AtlasFolder.begin(root)
    durable.make_folder(root)
    with writing(root):
        # Only now: what was read before the lock was had may be another's, half done.
        yield AtlasFolder.begin(root)


class AtlasFolder:
    """Reads and writes the files of one atlas; every path is relative to the folder, with forward slashes.

    lost: {path: its entry} of files that were committed and are gone, cut short or damaged
    """

    def __init__(self, root: Path):
        self.root = root
        self._committed: dict[str, dict[str, Any]] = {}
        self.lost: dict[str, dict[str, Any]] = {}
        self._read_lists()

    # --- opening

    @classmethod
    def begin(cls, root: Path) -> AtlasFolder:
        """A folder to build in: new, empty, or an atlas that was begun. Raises FolderTaken for anything else."""
        if root.exists() and not root.is_dir():
            raise FolderTaken(f"{root} is a file; choose another --out", path=str(root))
        try:
            if root.is_dir() and not (root / "plan.json").exists() and not _journal_of(root):
                others = sorted(p.name for p in root.iterdir() if p.name not in _OURS and not p.name.endswith(".tmp"))
                if others:
                    told = f"{root} holds something that is not an atlas ({others[0]}); choose another --out"
                    raise FolderTaken(told, path=str(root))
        except PermissionError as error:
            raise _unreadable(error, root) from error
        return cls(root)

    @classmethod
    def existing(cls, root: Path) -> AtlasFolder:
        """An atlas, finished or growing. Raises NotAnAtlas."""
        folder = cls(root)
        if not (root / "plan.json").is_file():
            raise NotAnAtlas(_no_atlas(root), path=str(root))
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
        """Commit one file: durable first, in the journal after. One that is there already stays as it is."""
        entry = {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        if self._committed.get(path) == entry:
            return
        before = self._committed.get(path)
        if before is not None:
            # Else a file that was replaced, and not told of, would pass for the one before it.
            self._note([{"path": path, "dropped": True}])
        try:
            write_file(self.root / path, data)
            self._note([entry])
        except StorageError:
            if before is not None:
                self._keep_what_is_there(path, before, entry)
            raise
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
        self._note_all()
        files = {p: {k: e[k] for k in ("bytes", "sha256")} for p, e in sorted(self._committed.items())}
        manifest = to_json({"format_version": FORMAT_VERSION, **extra, "files": files})
        target = self.root / "manifest.json"
        if not target.is_file() or target.read_bytes() != manifest:
            write_file(target, manifest)

    def reopen(self) -> None:
        """Take the manifest away before a finished atlas is changed."""
        if self.is_finished:
            self._note_all()
            durable.remove(self.root / "manifest.json")

    @contextmanager
    def reopened(self) -> Iterator[None]:
        """For a change to a finished atlas that takes no longer than writing does: it is finished again afterwards.

        What was added by then is taken away again where the change fails.
        """
        manifest, before = self.read_json("manifest.json"), set(self._committed)
        told = {k: v for k, v in manifest.items() if k not in ("format_version", "files")}
        try:
            self.reopen()
            yield
            self.finish(told)
        except BaseException:
            with contextlib.suppress(StorageError):  # what went wrong first is what is told
                self._forget([path for path in self._committed if path not in before])
                self.finish(told)
            raise

    def forget(self, prefix: str) -> None:
        """Drop the files under `prefix` from what counts as done, and from the disk; the journal notes it."""
        self._forget(self.committed(prefix))

    def tidy(self) -> int:
        """Before an unfinished atlas is continued: what was cut short goes, and files that are not as they were
        committed (`lost`) no longer count as done. How many of these there are.
        """
        durable.sweep(self.root)
        for name in _OWN_FOLDERS:
            for file in sorted((self.root / name).rglob("*")):
                own = file.relative_to(self.root).as_posix()
                if file.is_file() and own not in self._committed and not file.name.startswith("."):
                    durable.remove(file)
        for path, entry in list(self._committed.items()):
            if not self._is_intact(path, entry):
                self.lost[path] = self._committed.pop(path)
        return len(self.lost)

    # --- reading

    def has(self, path: str) -> bool:
        return path in self._committed

    def committed(self, prefix: str = "") -> list[str]:
        return sorted(p for p in self._committed if p.startswith(prefix))

    def is_altered(self, path: str) -> bool:
        """Whether it is there, and not what was written."""
        entry = self._committed.get(path) or self.lost.get(path)
        return entry is not None and (self.root / path).is_file() and not self._is_intact(path, entry)

    def was(self, path: str) -> str | None:
        """The hash of a file that is there, or was until it was lost."""
        entry = self._committed.get(path) or self.lost.get(path)
        return None if entry is None else entry["sha256"]

    def read_json(self, path: str) -> Any:
        try:
            return json.loads(self.read_bytes(path))
        except ValueError:
            raise self.damaged(path) from None

    def read_bytes(self, path: str) -> bytes:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            raise self._missing(path) from None
        except OSError as error:
            raise _unreadable(error, self.root / path) from error

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
            raise self.damaged(path) from None
        except OSError as error:
            raise _unreadable(error, self.root / path) from error

    def verify(self) -> int:
        """Hash every file of the manifest; how many there are. Raises VerificationFailed naming some that differ."""
        if not self.is_finished:
            raise UnfinishedAtlas(
                f"{self.root} is not finished: it has no manifest; run its build command again, which continues",
                path=str(self.root),
            )
        files = _listed(self.read_json("manifest.json"))
        if files is None:
            raise self.damaged("manifest.json")
        wrong = [p for p, entry in files.items() if not self._is_intact(p, entry)]
        if wrong:
            names = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
            raise VerificationFailed(
                f"{self.root}: {len(wrong)} of {len(files)} files are missing or differ from the manifest: {names}; "
                "restore them from a copy, or delete them and run the build command again",
                files=wrong,
            )
        return len(files)

    def damaged(self, path: str) -> StorageError:
        return NotAnAtlas(
            f"{self.root / path} is damaged; delete it and run the build command again", path=str(self.root / path)
        )

    # --- inside

    def _is_intact(self, path: str, entry: Mapping[str, Any]) -> bool:
        """A file that cannot be read is not."""
        try:
            with open(self.root / path, "rb") as opened:
                if os.fstat(opened.fileno()).st_size != entry["bytes"]:
                    return False
                return hashlib.file_digest(opened, "sha256").hexdigest() == entry["sha256"]
        except OSError:
            return False

    def _keep_what_is_there(self, path: str, before: dict[str, Any], entry: dict[str, Any]) -> None:
        """After a writing that failed on its way: the file before it, or the new one that was not noted yet."""
        del self._committed[path]
        for one in (before, entry):
            if self._is_intact(path, one):
                self._committed[path] = one

    def _note_all(self) -> None:
        """What the journal could not be told when it was committed."""
        in_journal = _journal_of(self.root)
        self._note([entry for path, entry in sorted(self._committed.items()) if in_journal.get(path) != entry])

    def _note(self, entries: list[dict[str, Any]]) -> None:
        if entries:
            append_line(self.root / "journal.jsonl", "\n".join(json.dumps(e, sort_keys=True) for e in entries))

    def _forget(self, forgotten: list[str]) -> None:
        # From the disk first: what the journal still names and is gone counts as not done, while a file that it no
        # longer names would stay for ever.
        for path in forgotten:
            durable.remove(self.root / path)
        self._note([{"path": path, "dropped": True} for path in forgotten])
        for path in forgotten:
            del self._committed[path]

    def _read_lists(self) -> None:
        """What the journal says leads; a published copy, or one whose journal is damaged, has its manifest."""
        listed = None
        if self.is_finished:
            with contextlib.suppress(NotAnAtlas):  # damaged: the journal knows as much
                listed = _listed(self.read_json("manifest.json"))
        for path, entry in _journal_of(self.root, listed).items():
            file = self.root / path
            is_there = file.is_file() and file.stat().st_size == entry["bytes"]
            (self._committed if is_there else self.lost)[path] = {"path": path, **entry}

    def _missing(self, path: str) -> StorageError:
        return UnfinishedAtlas(
            f"{self.root} lacks {path}; run its build command again, which continues", path=str(self.root / path)
        )


def _journal_of(root: Path, listed: Mapping[str, dict[str, Any]] | None = None) -> dict[str, dict[str, Any]]:
    """{path: entry} of the files that the journal, or `listed` before it, names and has not dropped since."""
    found = dict(listed or {})
    try:
        lines = (root / "journal.jsonl").read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return found
    except OSError as error:
        raise _unreadable(error, root / "journal.jsonl") from error
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a line that a crash cut short: its file was not committed
        if isinstance(entry, dict) and entry.get("dropped") and isinstance(entry.get("path"), str):
            found.pop(entry["path"], None)
        elif isinstance(entry, dict) and _is_entry(entry.get("path"), entry):
            found[entry["path"]] = entry
    return found


def _listed(manifest: Any) -> dict[str, dict[str, Any]] | None:
    """The files of a manifest; None where it is none."""
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(isinstance(e, dict) and _is_entry(p, e) for p, e in files.items()):
        return None
    return files


def _is_entry(path: Any, entry: Mapping[str, Any]) -> bool:
    """Of a file inside the folder: an atlas that came from elsewhere may name others."""
    if not isinstance(path, str) or not isinstance(entry.get("bytes"), int) or not isinstance(entry.get("sha256"), str):
        return False
    pure = PurePath(path)
    return bool(path) and not pure.anchor and ".." not in pure.parts and "\0" not in path


def _no_atlas(root: Path) -> str:
    if all((root / name).is_file() for name in _PAGE):
        page = root / "index.html"
        return f"{root} is an atlas's page and not the atlas; open {page}, or give the folder that it was made from"
    found = "is not an atlas (it has no plan.json)" if root.exists() else "is not there"
    return f"{root} {found}; give a folder that actatlas build wrote: actatlas build IMAGES --out DIR"


def _unreadable(error: OSError, path: Path) -> StorageError:
    return durable.told(error, path, "read")


def to_json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
