"""A folder that is there whole, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from actatlas.errors import FolderTaken, StorageError
from actatlas.store import durable


@contextmanager
def staged(out: Path, is_ours: Callable[[str], bool]) -> Iterator[Path]:
    """A new folder beside `out` to write into; it takes the place of `out` at the end, if nothing was raised.

    is_ours: whether a name in `out` is one that an earlier writing left. Hidden names, such as .git, stay.

    Raises FolderTaken where `out` holds something else, StorageError where it cannot be written.
    """
    unfinished, earlier = (out.with_name(f".{out.name}.{kind}") for kind in ("unfinished", "earlier"))
    try:
        _put_away(earlier, out)  # where a run was cut short in the middle of the exchange
        _require_ours(out, is_ours)
        durable.remove_folder(unfinished)
        durable.make_folder(unfinished)
        try:
            yield unfinished
            _put_in_place(unfinished, out, earlier)
        except BaseException:
            with contextlib.suppress(StorageError):  # it goes at the next run
                durable.remove_folder(unfinished)
            raise
    except StorageError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"{out} could not be written ({reason}); mend that and run the same command again"
        ) from error


def _require_ours(out: Path, is_ours: Callable[[str], bool]) -> None:
    if out.exists() and not out.is_dir():
        raise FolderTaken(f"{out} is a file; choose another folder", path=str(out))
    names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    others = [name for name in names if not name.startswith(".") and not is_ours(name)]
    if others:
        raise FolderTaken(f"{out} holds something else ({others[0]}); choose a new folder", path=str(out))


def _put_in_place(unfinished: Path, out: Path, earlier: Path) -> None:
    if out.exists():
        durable.rename_folder(out, earlier)
    try:
        durable.rename_folder(unfinished, out)
    finally:
        _put_away(earlier, out)


def _put_away(earlier: Path, out: Path) -> None:
    """What was there before goes, but for hidden names; all of it comes back where nothing has taken its place."""
    if not earlier.exists():
        return
    if not out.exists():
        durable.rename_folder(earlier, out)
        return
    for path in list(earlier.iterdir()):
        if path.name.startswith(".") and not (out / path.name).exists():
            durable.rename_folder(path, out / path.name)
    durable.remove_folder(earlier)
