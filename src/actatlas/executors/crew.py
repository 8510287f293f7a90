"""The workers of a cluster, and one shift of theirs: units go out, results come back, the dead are replaced."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic

from actatlas.errors import WorkerLost, first_line
from actatlas.executors.bench import Bench, Failure
from actatlas.executors.work import Result, Unit, Work

_AHEAD = 2  # units with each worker: one is computed, the next is there already
_LIVES = 5  # workers that one unit may cost
_FALSE_STARTS = 8  # workers in a row that die before they are up


@dataclass(frozen=True)
class Post:
    """What each worker has: threads of a processor, and GPUs."""

    threads: int
    gpus: int

    def does_for(self, other: Post) -> bool:
        """Whether who has this can do what that is for."""
        return self.gpus == other.gpus and self.threads >= other.threads

    def count_on(self, nodes: Iterable[dict[str, float]]) -> int:
        """How many workers have room there."""
        return sum(
            min(int(node.get("CPU", 0)) // self.threads, int(node.get("GPU", 0)) if self.gpus else 10**6)
            for node in nodes
        )


@dataclass
class _Worker:
    """tasks: (unit, reference to its result), in the order in which they are computed"""

    actor: Any
    coming_up: Any
    tasks: deque[tuple[Any, Any]] = field(default_factory=deque)
    pid: int = 0

    @property
    def next_report(self) -> Any:
        return self.tasks[0][1] if self.tasks else self.coming_up


class Crew:
    """Up to `size` workers, hired when there is work for them. They stay until they are dismissed."""

    def __init__(self, ray: Any, post: Post, size: int):
        self._ray, self.post, self.size = ray, post, size
        # Ray would give a worker's libraries as many threads as CPUs; numpy's are to have what they have here.
        variables = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count() or 1)}
        kept = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "ACTATLAS_PHOTOS")
        variables |= {name: os.environ[name] for name in kept if name in os.environ}
        self._actor_class = ray.remote(Bench).options(
            num_cpus=post.threads, num_gpus=post.gpus, max_restarts=0, max_task_retries=0,
            runtime_env={"env_vars": variables},
        )  # fmt: skip
        self.workers: list[_Worker] = []

    @property
    def pids(self) -> list[int]:
        """Of those that have come up."""
        return [worker.pid for worker in self.workers if worker.pid]

    def hire_up_to(self, count: int) -> None:
        while len(self.workers) < min(self.size, count):
            actor = self._actor_class.remote()
            self.workers.append(_Worker(actor, actor.up.remote()))

    def part_with(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        self._ray.kill(worker.actor)

    def dismiss(self) -> None:
        for worker in list(self.workers):
            self.part_with(worker)


class Shift(Generic[Unit, Result]):
    """All units of one call of `Ray.run`."""

    def __init__(self, ray: Any, crew: Crew, work: Work[Unit, Result], recipe: Any, units: Iterable[Unit]):
        self._ray, self._crew, self._work, self._recipe = ray, crew, work, recipe
        self._waiting = deque(units)
        self._left = len(self._waiting)
        self._lives: Counter[Unit] = Counter()
        self._false_starts = 0
        exceptions = ray.exceptions
        self._losses = (
            exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.OutOfMemoryError,
            exceptions.NodeDiedError, exceptions.ObjectLostError, exceptions.LocalRayletDiedError,
        )  # fmt: skip

    def results(self) -> Iterator[tuple[Unit, Result]]:
        is_whole = False
        try:
            while self._left:
                self._crew.hire_up_to(self._left)
                self._hand_out()
                yield from self._reports()
            is_whole = True
        finally:
            if not is_whole:  # what they are at, nobody wants any more
                self._crew.dismiss()

    def _hand_out(self) -> None:
        """Everybody gets a unit before anybody gets a second."""
        for depth in range(_AHEAD):
            for worker in self._crew.workers:
                if worker.pid and len(worker.tasks) <= depth and self._waiting:
                    unit = self._waiting.popleft()
                    reference = worker.actor.do.remote(self._work.key, self._recipe, self._work.values(unit))
                    worker.tasks.append((unit, reference))

    def _reports(self) -> Iterator[tuple[Unit, Result]]:
        """The results of those that have one; waits for the first."""
        reporting = {w.next_report: w for w in self._crew.workers if w.tasks or not w.pid}
        done, _ = self._ray.wait(list(reporting), num_returns=1)
        for reference in done:
            worker = reporting[reference]
            try:
                report = self._ray.get(reference)
            except self._losses as error:
                self._bury(worker, error)
                continue
            if isinstance(report, Failure):
                raise report.as_error()
            self._false_starts = 0
            if not worker.pid:
                worker.pid = report.pid
                continue
            unit, _ = worker.tasks.popleft()
            del reference
            self._left -= 1
            yield unit, report

    def _bury(self, worker: _Worker, error: Exception) -> None:
        """What it was at is tried again, as often as the unit has lives; what was only waiting there, as before."""
        self._crew.part_with(worker)
        if not worker.pid:
            self._false_starts += 1
            if self._false_starts == _FALSE_STARTS:
                raise WorkerLost(
                    f"{_FALSE_STARTS} workers in a row died before they were up ({_why(error)}); look whether actatlas "
                    "is installed on every machine of the cluster, with the memory that a network takes"
                ) from None
            return
        if not worker.tasks:
            return
        unit = worker.tasks[0][0]
        self._lives[unit] += 1
        if self._lives[unit] == _LIVES:
            raise WorkerLost(
                f"{self._work.title(unit)} has cost {_LIVES} workers their life ({_why(error)}); give workers more "
                "memory, or run it without --executor to see what it does"
            ) from None
        self._waiting.extendleft(unit for unit, _ in reversed(worker.tasks))


def _why(error: Exception) -> str:
    """Ray tells in paragraphs: the line that says what happened to the worker."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error" in line or "exit type" in line]
    return (told[-1] if told else first_line(error))[:200].rstrip(". ")
