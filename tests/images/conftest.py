from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.images.servers import ObjectStore


@pytest.fixture
def files(drawn_photos) -> list[Path]:
    """The drawn photos' files, in order."""
    return sorted(drawn_photos.iterdir())


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """For as long as tests run: s3fs keeps its connection to it."""
    with ObjectStore() as store, pytest.MonkeyPatch.context() as patched:
        for name, value in store.environment.items():
            patched.setenv(name, value)
        yield store
