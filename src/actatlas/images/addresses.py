"""Files that lie elsewhere: their addresses, and what is known of one since it was listed."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from actatlas.images.records import Texts

_MOST_DIGITS = 19
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class Remote:
    """length: in bytes, −1 where it is not said; version: its ETag, hash or date; gives_parts: from the middle too"""

    url: str
    length: int
    version: str
    gives_parts: bool


class Remotes:
    """Very many of those that give parts, by their number: a hundred bytes or so each."""

    def __init__(self) -> None:
        self.urls, self.versions, self.lengths = Texts(), Texts(), array("q")

    def append(self, file: Remote) -> None:
        self.urls.append(file.url)
        self.versions.append(file.version)
        self.lengths.append(file.length)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> Remote:
        return Remote(self.urls[number], self.lengths[number], self.versions[number], gives_parts=True)

    def in_order(self, numbers: Sequence[int]) -> Remotes:
        ordered = Remotes()
        for number in numbers:
            ordered.append(self[number])
        return ordered


def length_of(text: str) -> int | None:
    """A length in bytes as a stranger writes it; None for what is none, and for more digits than one has."""
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None


def is_address(where: str) -> bool:
    """Of a web server (https://…) or an object store (s3://…), not a path."""
    return _ADDRESS.match(where) is not None


def is_web(where: str) -> bool:
    return where.lower().startswith(("http://", "https://"))
