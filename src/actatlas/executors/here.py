"""Units in this process, one after another: the default, and what all other ways are measured by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from actatlas.executors.work import Result, Unit, Work


class InProcess:
    is_here = True

    def begin(self, work: Work[Any, Any]) -> str:
        return ""

    def run(self, work: Work[Unit, Result], units: Iterable[Unit]) -> Iterator[tuple[Unit, Result]]:
        return work.run_here(units)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
