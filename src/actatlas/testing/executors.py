"""What every executor promises, as tests: inherit, say how to make one, run pytest."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np

from actatlas.errors import LayerNotFound
from actatlas.executors import Executor, Work


@dataclass(frozen=True)
class Doubling:
    """From (unit, (n,) numbers) to (unit, twice the numbers, the process, what it was made ready as)."""

    refused: int = -1

    def ready(self) -> Callable[[tuple[int, np.ndarray]], tuple[int, np.ndarray, int, str]]:
        made = uuid4().hex

        def doubled(values: tuple[int, np.ndarray]) -> tuple[int, np.ndarray, int, str]:
            unit, numbers = values
            if unit == self.refused:
                raise LayerNotFound("no.such", "a network", ["such"])
            return unit, numbers * 2, os.getpid(), made

        return doubled


def doubling(refused: int = -1, asked: Callable[[int], None] = lambda unit: None) -> Work[int, Any]:
    """Work of units that are numbers. refused: the unit that fails; asked: hears when a unit's values are asked for"""

    def values(unit: int) -> tuple[int, np.ndarray]:
        asked(unit)
        return unit, np.arange(unit, unit + 1000)

    return Work(title=lambda unit: f"number {unit}", recipe=lambda: Doubling(refused), values=values)


class ExecutorContract:
    """`make` gives an executor that has not begun.

    most_held: units whose values may have been asked for before their results are taken
    """

    most_held = 16

    def make(self) -> Executor:
        raise NotImplementedError("a contract's test gives its executor: def make(self)")

    def test_each_unit_has_its_result_once(self) -> None:
        with self.make() as executor:
            found = list(executor.run(doubling(), range(3, 40)))
        assert sorted(unit for unit, _ in found) == list(range(3, 40))
        for unit, (same, numbers, _, _) in found:
            assert unit == same and np.array_equal(numbers, 2 * np.arange(unit, unit + 1000))

    def test_without_units_nothing_is_done(self) -> None:
        with self.make() as executor:
            assert list(executor.run(doubling(), [])) == []

    def test_a_process_is_made_ready_once_for_all_its_units(self) -> None:
        work = doubling()
        with self.make() as executor:
            found = [result for _, result in [*executor.run(work, range(12)), *executor.run(work, range(12, 24))]]
        by_process = {process: {ready for _, _, at, ready in found if at == process} for _, _, process, _ in found}
        times = 2 if self.make().is_here else 1  # here, each run is one
        assert all(len(ready) <= times for ready in by_process.values())

    def test_values_are_asked_for_a_few_at_a_time(self) -> None:
        asked: list[int] = []
        with self.make() as executor:
            for taken, _ in enumerate(executor.run(doubling(asked=asked.append), range(60))):
                assert len(asked) - taken <= self.most_held
        assert sorted(asked) == list(range(60))

    def test_an_error_of_a_unit_is_raised_as_itself_and_others_can_follow(self) -> None:
        with self.make() as executor:
            found = _raised(lambda: list(executor.run(doubling(refused=5), range(12))))
            assert type(found) is LayerNotFound and found.fields["layer"] == "no.such"
            assert str(found) == str(LayerNotFound("no.such", "a network", ["such"]))
            assert len(list(executor.run(doubling(), range(4)))) == 4

    def test_closing_it_ends_the_others(self) -> None:
        asked: list[int] = []
        with self.make() as executor:
            results = iter(executor.run(doubling(asked=asked.append), range(60)))
            next(results)
            results.close()  # type: ignore[attr-defined]
            assert len(asked) <= 1 + self.most_held
            assert len(list(executor.run(doubling(), range(4)))) == 4

    def test_what_it_says_of_where_it_runs_goes_behind_a_title(self) -> None:
        with self.make() as executor:
            told = executor.begin(doubling())
        assert told == "" if executor.is_here else told.startswith(" on ")


def _raised(do: Callable[[], object]) -> LayerNotFound:
    try:
        do()
    except LayerNotFound as error:
        return error
    raise AssertionError("the unit that fails did not fail")
