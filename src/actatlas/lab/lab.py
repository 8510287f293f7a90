"""The lab's door: a question and its answer, both JSON. What it needs is loaded when it is first asked."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actatlas.errors import ActatlasError, UnfinishedAtlas, UnreadableImage
from actatlas.lab.asking import Asked

if TYPE_CHECKING:
    from actatlas.lab.pictures import Shelf
    from actatlas.lab.questions import Questions

_State = tuple[int, int] | None


class Lab:
    """Answers questions about one atlas folder: docs/lab.md says which, docs/schema/lab.json what comes back.

    Any thread may ask. Every ActatlasError is an answer too: the sentence that says what cannot be done.
    """

    questions = frozenset({"status", "photos", "predict", "suggest", "icon", "facets", "lights"})

    def __init__(self, folder: Path):
        self.folder = folder
        self._opening = threading.Lock()
        self._opened: tuple[_State, Questions] | None = None
        self._shelf: Shelf | None = None  # outlives what was opened: what the reader gave stays

    def answer(self, question: str, asked: Asked) -> dict[str, Any]:
        """question: of `questions`. Raises ActatlasError for what cannot be answered."""
        try:
            opened = self._open()
        except ActatlasError as error:
            if question != "status":
                raise
            return {"closed": str(error), "without": {}, "photos": 0, "input_px": None, "misunderstandings": 0}
        return opened.answer(question, asked)

    def receive(self, picture: bytes) -> dict[str, Any]:
        """A picture file that the reader gives, for a photo or a patch. Raises UnreadableImage."""
        try:
            return self._open().pictures.receive(picture)
        except UnreadableImage as error:
            raise UnreadableImage(f"this picture cannot be used: {error.reason}") from None

    def _open(self) -> Questions:
        """The atlas and its network, opened again when the folder has changed.

        Raises MissingExtra without torch, UnfinishedAtlas while it is built, and what loading the network raises.
        """
        from actatlas.working import WorkingAtlas, need_torch

        need_torch("the patch lab")
        from actatlas.lab.pictures import Shelf
        from actatlas.lab.questions import Questions

        with self._opening:
            self._shelf = self._shelf or Shelf()
            state = self._state()
            if self._opened is not None and state in (self._opened[0], None):
                return self._opened[1]
            if state is None:
                raise UnfinishedAtlas(f"{self.folder} is still being built; the lab opens when it is finished")
            self._opened = state, Questions(WorkingAtlas.opened(self.folder), self._shelf)
            return self._opened[1]

    def _state(self) -> _State:
        """What changes when the atlas does; None while it has no manifest."""
        with suppress(FileNotFoundError):
            manifest = (self.folder / "manifest.json").stat()
            return manifest.st_size, manifest.st_mtime_ns
        return None
