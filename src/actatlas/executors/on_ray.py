"""Units on the workers of a Ray cluster: each loads what it needs once, and gives arrays back. It writes nothing."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from actatlas.errors import MissingExtra, UsageError
from actatlas.executors.cluster import Cluster
from actatlas.executors.crew import Crew, Post, Shift
from actatlas.executors.work import Result, Unit, Work


class Ray:
    """Starts, or joins, its cluster when it is first needed; ended, or left, with the `with` block.

    address: None starts a cluster on this machine for as long as it is needed; "auto" or "HOST:PORT" joins one
    workers: how many; None for as many as there is room for, each with as many CPUs as a unit has threads here

    Raises MissingExtra.
    """

    is_here = False

    def __init__(self, address: str | None = None, workers: int | None = None):
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("ray", "ray", "--executor ray")
        if workers is not None and workers < 1:
            raise UsageError(f"{workers} workers do no work; give 1 or more")
        self._address, self._workers = address, workers
        self._cluster: Cluster | None = None
        self._crew: Crew | None = None
        self._key, self._recipe = "", None

    @property
    def worker_pids(self) -> list[int]:
        """Of the workers that are up, each on its machine."""
        return self._crew.pids if self._crew else []

    def begin(self, work: Work[Any, Any]) -> str:
        size = self._crew_for(work).size
        return f" on {size:,} worker{'s' * (size > 1)}"

    def run(self, work: Work[Unit, Result], units: Iterable[Unit]) -> Iterator[tuple[Unit, Result]]:
        asked = list(units)
        if not asked:
            return
        crew = self._crew_for(work)
        assert self._cluster is not None
        ray = self._cluster.ray
        if work.key != self._key:
            self._key, self._recipe = work.key, ray.put(work.recipe())
        yield from Shift(ray, crew, work, self._recipe, asked).results()

    def __enter__(self) -> Ray:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._crew is not None:
                self._crew.dismiss()
        finally:
            cluster, self._cluster, self._crew, self._key, self._recipe = self._cluster, None, None, "", None
            if cluster is not None:
                cluster.close()

    def _crew_for(self, work: Work[Any, Any]) -> Crew:
        """The one that there is, where it has what this work needs."""
        if self._cluster is None:
            self._cluster = Cluster(self._address, max(os.cpu_count() or 1, work.threads * (self._workers or 1)))
        nodes = self._cluster.nodes()
        post = Post(work.threads, int(work.is_for_gpu and any(node.get("GPU", 0) >= 1 for node in nodes)))
        size = self._workers or post.count_on(nodes)
        if self._crew is not None:
            if self._crew.post.does_for(post) and self._crew.size == size:
                return self._crew
            self._crew.dismiss()
        if not size:
            most = max((int(node.get("CPU", 0)) for node in nodes), default=0)
            raise UsageError(
                f"a unit computes with {post.threads} threads here, and no machine of the cluster has so many CPUs "
                f"(the largest {most}); for the same bytes they must be as many: set OMP_NUM_THREADS={max(most, 1)}"
            )
        self._crew = Crew(self._cluster.ray, post, size)
        return self._crew
