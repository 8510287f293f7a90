"""What the page asks: JSON → what it names. A wrong question is a sentence that says which part is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actatlas.errors import UsageError

Asked = Mapping[str, Any]
_MOST_TEXT = 300


@dataclass(frozen=True)
class AtlasPhoto:
    """A photo of the atlas, by its id."""

    id: int


@dataclass(frozen=True)
class Given:
    """A picture that the reader gave, or that was painted here, by the key under which it was kept."""

    key: str


@dataclass(frozen=True)
class CellName:
    """layer: as the page calls it, so that class atlases have cells too; side: of the grid"""

    layer: str
    side: int
    column: int
    row: int


@dataclass(frozen=True)
class Example:
    """A cell's real patch, the number-th from 0, nearest the cell's mean first."""

    cell: CellName
    number: int


@dataclass(frozen=True)
class CellIcon:
    cell: CellName


@dataclass(frozen=True)
class Proposed:
    """The patch of a misunderstanding, by its layer and its rank as it was proposed."""

    layer: str
    rank: int


Photo = AtlasPhoto | Given
Patch = Example | CellIcon | Proposed | Given


@dataclass(frozen=True)
class Place:
    """Where a patch lies.

    x, y: of its centre, as fractions of what the network sees, in [0, 1]; at the edge it is moved inwards
    side: its longer side, as a share of the shorter side of what the network sees, in (0, 1]
    """

    x: float
    y: float
    side: float


def photo(asked: Asked) -> Photo:
    value = part(asked, "photo")
    return Given(text(value, "key")) if "key" in value else AtlasPhoto(whole(value, "id"))


def patch(asked: Asked) -> Patch | None:
    """None where no patch is named. Forms: {key}, {layer, rank}, {cell, example: n}, {cell, icon: true}."""
    if asked.get("patch") is None:
        return None
    value = part(asked, "patch")
    if "key" in value:
        return Given(text(value, "key"))
    if "rank" in value:
        return Proposed(text(value, "layer"), whole(value, "rank"))
    return CellIcon(cell(value)) if value.get("icon") else Example(cell(value), whole(value, "example"))


def cell(asked: Asked) -> CellName:
    value = part(asked, "cell")
    return CellName(text(value, "layer"), whole(value, "side"), whole(value, "column"), whole(value, "row"))


def place(asked: Asked) -> Place:
    value = part(asked, "place")
    found = Place(number(value, "x"), number(value, "y"), number(value, "side"))
    if not (0 <= found.x <= 1 and 0 <= found.y <= 1 and 0 < found.side <= 1):
        raise UsageError("place: x and y are from 0 to 1, side is above 0 and at most 1")
    return found


def part(asked: Asked, name: str) -> dict[str, Any]:
    value = asked.get(name)
    if not isinstance(value, dict):
        raise UsageError(f"{name} must be an object, {_not(value)}")
    return value


def text(asked: Asked, name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or len(value) > _MOST_TEXT:
        raise UsageError(f"{name} must be a text of at most {_MOST_TEXT} characters, {_not(value)}")
    return value


def whole(asked: Asked, name: str, least: int = 0, most: int = 2**31, default: int | None = None) -> int:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name} must be a whole number from {least} to {most}, {_not(value)}")
    return value


def number(asked: Asked, name: str) -> float:
    value = asked.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{name} must be a number, {_not(value)}")
    return float(value)


def _not(value: Any) -> str:
    return "it is missing" if value is None else f"not {str(value)[:40]!r}"
