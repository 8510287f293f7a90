from pathlib import Path

import pytest


@pytest.fixture
def files(drawn_photos) -> list[Path]:
    """The drawn photos' files, in order."""
    return sorted(drawn_photos.iterdir())
