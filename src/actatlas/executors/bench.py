"""What runs in a worker: made ready once for each kind of work, then unit after unit. Knows nothing of Ray."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actatlas.errors import ActatlasError
from actatlas.executors.work import Recipe


@dataclass(frozen=True)
class Failure:
    """An error of ours as a value: classes of errors with arguments of their own do not travel."""

    kind: type[ActatlasError]
    message: str
    fields: dict[str, object]

    @classmethod
    def of(cls, error: ActatlasError) -> Failure:
        return cls(type(error), error.message, error.fields)

    def as_error(self) -> ActatlasError:
        error = self.kind.__new__(self.kind)
        ActatlasError.__init__(error, self.message, **self.fields)
        return error


@dataclass(frozen=True)
class Whereabouts:
    host: str
    pid: int


class Bench:
    """One worker's state: what it is ready for."""

    def __init__(self) -> None:
        self._key = ""
        self._do: Callable[[Any], Any] | None = None

    def up(self) -> Whereabouts:
        return Whereabouts(socket.gethostname(), os.getpid())

    def do(self, key: str, recipe: Recipe, values: Any) -> Any:
        """The result, or a Failure. Of the work before, nothing is kept."""
        try:
            if self._do is None or key != self._key:
                self._do = None
                self._do, self._key = recipe.ready(), key
            return self._do(values)
        except ActatlasError as error:
            return Failure.of(error)
