"""A lab over a small atlas of the packaged network."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from actatlas.lab import Lab


@pytest.fixture(scope="session")
def lab_atlas(small_atlas: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared: do not change it."""
    return shutil.copytree(small_atlas, tmp_path_factory.mktemp("lab") / "atlas")


@pytest.fixture(scope="session")
def lab(lab_atlas: Path) -> Lab:
    return Lab(lab_atlas)
