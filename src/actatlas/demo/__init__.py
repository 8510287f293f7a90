"""The atlas that ships with the package: rich, small, without photos."""

from __future__ import annotations

from pathlib import Path

from actatlas import atlas as reader
from actatlas.atlas import Atlas


def shipped_atlas() -> Atlas:
    return reader.open(Path(__file__).parent / "atlas")
