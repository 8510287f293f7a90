"""Files that lie elsewhere: their addresses, and what is known of one since it was listed."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class Remote:
    """length: in bytes, −1 where it is not said; version: its ETag, hash or date; gives_parts: from the middle too"""

    url: str
    length: int
    version: str
    gives_parts: bool


def is_address(where: str) -> bool:
    """Of a web server (https://…) or an object store (s3://…), not a path."""
    return _ADDRESS.match(where) is not None


def is_web(where: str) -> bool:
    return where.lower().startswith(("http://", "https://"))
