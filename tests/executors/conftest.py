"""One Ray cluster for all tests of this folder: each takes hundreds of megabytes and seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actatlas.executors.cluster import Cluster
from actatlas.testing.small import small_photos


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """On this machine, with four CPUs to its mind. `Ray()` joins it, for this process is connected."""
    found = Cluster(None, 4)
    yield found
    found.close()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_photos(tmp_path_factory.mktemp("executors") / "photos")
