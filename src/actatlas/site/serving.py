"""The page as our own server gives it out: which of the folder's files, and the word that lets it ask that server."""

from __future__ import annotations

import html
from pathlib import Path

from actatlas.errors import UnfinishedAtlas
from actatlas.site.growing import GrowingSite
from actatlas.store import AtlasFolder

_POLICY = b"default-src 'none';"


class SiteFiles:
    """The files of an atlas's own site, finished or growing: those that its manifest or journal lists, and no other.

    Many threads may ask. Raises NotAnAtlas, UnfinishedAtlas if there is no page yet.
    """

    def __init__(self, folder: Path):
        AtlasFolder.existing(folder)
        if not (folder / "site" / "index.html").is_file():
            raise UnfinishedAtlas(
                f"{folder} has no page yet; run its build command again, which continues", path=str(folder)
            )
        self._folder = folder
        self._growing = GrowingSite(folder)
        self._listed: tuple[int, frozenset[str]] = (-2, frozenset())

    def read(self, path: str) -> bytes | None:
        """By its path in the site, such as "atlas.js"; None where there is no such file."""
        listed = f"site/{path}"
        if listed not in self._names():  # an exact name in the list, never a path to resolve
            return None
        try:
            return self._growing.file(path) or self._inside(listed)
        except FileNotFoundError:  # a build has just taken it away
            return None

    def _inside(self, listed: str) -> bytes | None:
        """None of a link that leads out of the folder: an atlas that came from elsewhere may hold one."""
        file = (self._folder / listed).resolve()
        return file.read_bytes() if file.is_relative_to(self._folder.resolve()) else None

    def _names(self) -> frozenset[str]:
        """The journal is read again only when it has grown."""
        journal = self._folder / "journal.jsonl"
        state = journal.stat().st_size if journal.is_file() else -1
        if state != self._listed[0]:
            self._listed = (state, frozenset(AtlasFolder(self._folder).committed("site/")))
        return self._listed[1]


def with_lab(page: bytes, token: str) -> bytes:
    """index.html whose policy allows questions to where it came from, with the token that they need.

    A page written before there was a lab, whose policy is another, stays as it is, and its lab closed.
    """
    if page.count(_POLICY) != 1 or page.count(b"<title>") != 1:
        return page
    word = f'<meta name="actatlas-lab" content="{html.escape(token)}">\n'.encode()
    page = page.replace(_POLICY, _POLICY + b" connect-src 'self';")
    return page.replace(b"<title>", word + b"<title>")
