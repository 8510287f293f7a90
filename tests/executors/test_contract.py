"""Both executors hold the contract that a stranger's would."""

from __future__ import annotations

import pytest

from actatlas.executors import InProcess, Ray
from actatlas.testing import ExecutorContract


class TestInProcess(ExecutorContract):
    most_held = 1

    def make(self):
        return InProcess()


@pytest.mark.usefixtures("cluster")
class TestRay(ExecutorContract):
    most_held = 3  # two with the worker, and one that was just taken

    def make(self):
        return Ray(workers=1)
