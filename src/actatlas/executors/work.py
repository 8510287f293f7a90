"""What is asked of an executor, and what it promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar
from uuid import uuid4

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Recipe(Protocol):
    """What another process makes itself ready from. It goes there as a value, so it holds nothing but values."""

    def ready(self) -> Callable[[Any], Any]:
        """Done once in each process: what turns a unit's values into its result."""


@dataclass(frozen=True)
class Work(Generic[Unit, Result]):
    """Units of one kind. A unit's result depends on the recipe and its values alone.

    title: what one unit is called: "shard 3"
    recipe: for other processes; asked for once
    values: of a unit, what it is computed from; asked for when the unit goes to a process, and again if that dies
    here: the results of units in this process, where that is done better than one by one; None does just that
    threads: of the processor, that a unit computes with; is_for_gpu: it computes on a GPU where there is one
    key: tells this work from all others
    """

    title: Callable[[Unit], str]
    recipe: Callable[[], Recipe]
    values: Callable[[Unit], Any]
    here: Callable[[Iterable[Unit]], Iterator[tuple[Unit, Result]]] | None = None
    threads: int = 1
    is_for_gpu: bool = False
    key: str = field(default_factory=lambda: uuid4().hex)

    def run_here(self, units: Iterable[Unit]) -> Iterator[tuple[Unit, Result]]:
        if self.here is not None:
            return self.here(units)
        return self._one_by_one(units)

    def _one_by_one(self, units: Iterable[Unit]) -> Iterator[tuple[Unit, Result]]:
        do = self.recipe().ready()
        for unit in units:
            yield unit, do(self.values(unit))


class Executor(Protocol):
    """Runs units at least once, in any order; a context manager: on leaving it nothing that it started is left.

    is_here: units run in this process
    """

    is_here: bool

    def begin(self, work: Work[Any, Any]) -> str:
        """Starts what the work needs. Where it will run, as told behind a stage's title: " on 4 workers", or ""."""

    def run(self, work: Work[Unit, Result], units: Iterable[Unit]) -> Iterator[tuple[Unit, Result]]:
        """Each unit once, with its result. Only a few are held at a time.

        An error of a unit is raised as itself and ends the others. So does closing the iterator.
        """

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
