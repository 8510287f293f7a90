"""The lab's door: a question and its answer, both JSON. What it needs is loaded when it is first asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actatlas.errors import ActatlasError, UnfinishedAtlas, UnreadableImage
from actatlas.lab import asking
from actatlas.lab.asking import Asked

if TYPE_CHECKING:
    from actatlas.lab.bench import Bench
    from actatlas.lab.pictures import Pictures, Shelf

LEAST_STEPS, MOST_STEPS = 16, 512


@dataclass(frozen=True)
class _Opened:
    """An atlas as it was when its folder was in this state, and the network at work on it."""

    state: tuple[float, ...]
    pictures: Pictures
    bench: Bench


class Lab:
    """Answers questions about one atlas folder: docs/lab.md says which, docs/schema/lab.json what comes back.

    Any thread may ask. Every ActatlasError is an answer too: the sentence that says what cannot be done.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._opening = threading.Lock()
        self._opened: _Opened | None = None
        self._answers: dict[str, Callable[[Asked], dict[str, Any]]] = {
            "status": self._status, "photos": self._photos, "predict": self._predict, "suggest": self._suggest,
            "icon": self._icon, "lights": self._lights,
        }  # fmt: skip
        self._shelf: Shelf | None = None  # outlives what was opened: what the reader gave stays

    def answer(self, question: str, asked: Asked) -> dict[str, Any]:
        """question: of `questions`. Raises ActatlasError for what cannot be answered."""
        return self._answers[question](asked)

    @property
    def questions(self) -> frozenset[str]:
        return frozenset(self._answers)

    def receive(self, picture: bytes) -> dict[str, Any]:
        """A picture file that the reader gives, for a photo or a patch. Raises UnreadableImage."""
        try:
            return self._open().pictures.receive(picture)
        except UnreadableImage as error:
            raise UnreadableImage(f"this picture cannot be used: {error.reason}") from None

    # --- questions

    def _status(self, asked: Asked) -> dict[str, Any]:
        """Whether the lab is open, and what it does without."""
        try:
            opened = self._open()
        except ActatlasError as error:
            return {"closed": str(error), "without": {}, "photos": 0, "input_px": None, "misunderstandings": 0}
        bench, without = opened.bench, {}

        def tried(part: str, attempt: Callable[[], Any]) -> Any:
            try:
                return attempt()
            except ActatlasError as error:
                without[part] = str(error)

        photos = tried("photos", lambda: opened.pictures.photo_count)
        tried("classes", lambda: bench.names)
        tried("lights", bench.require_means)
        tried("icon", bench.require_colours)
        found = len(bench.confusions) if "classes" not in without else 0
        return {
            "closed": None, "without": without, "photos": photos or 0,
            "input_px": list(bench.atlas.preprocessing.input_px), "misunderstandings": found,
        }  # fmt: skip

    def _photos(self, asked: Asked) -> dict[str, Any]:
        from actatlas.lab.pictures import MOST_PHOTOS

        pictures = self._open().pictures
        start, count = asking.whole(asked, "from", default=0), asking.whole(asked, "count", 1, MOST_PHOTOS, 24)
        return pictures.photos(start, count, asking.text(asked, "query") if "query" in asked else "")

    def _predict(self, asked: Asked) -> dict[str, Any]:
        photo, patch = asking.photo(asked), asking.patch(asked)
        return self._open().bench.predict(photo, patch, None if patch is None else asking.place(asked))

    def _suggest(self, asked: Asked) -> dict[str, Any]:
        from actatlas.lab.suggesting import suggest

        photo = asking.photo(asked) if asked.get("photo") is not None else None
        bench, target = self._open().bench, None
        if asked.get("target") is not None:
            target = bench.atlas.class_names.find(str(asked["target"])[:100])
        return suggest(bench, photo, target)

    def _icon(self, asked: Asked) -> dict[str, Any]:
        cell = asking.cell(asked)
        steps = asking.whole(asked, "steps", LEAST_STEPS, MOST_STEPS, 128)
        px = None if asked.get("px") is None else asking.whole(asked, "px", 8, 256)
        return self._open().bench.icon(cell, steps, px)

    def _lights(self, asked: Asked) -> dict[str, Any]:
        from actatlas.lab.lighting import lights

        photo = asking.photo(asked)
        side = None if asked.get("side") is None else asking.whole(asked, "side", 2, 320)
        return lights(self._open().bench, photo, side)

    # --- opening

    def _open(self) -> _Opened:
        """The atlas and its network, opened again when the folder has changed.

        Raises MissingExtra without torch, UnfinishedAtlas while it is built, and what loading the network raises.
        """
        from actatlas.working import WorkingAtlas, need_torch

        need_torch("the patch lab")
        from actatlas.lab.bench import Bench
        from actatlas.lab.pictures import Pictures, Shelf
        from actatlas.site.data import shown_layers

        with self._opening:
            self._shelf = self._shelf or Shelf()
            state = self._state()
            if self._opened is not None and state in (self._opened.state, ()):
                return self._opened
            if state == ():
                raise UnfinishedAtlas(f"{self.folder} is still being built; the lab opens when it is finished")
            atlas = WorkingAtlas.opened(self.folder)
            layers = {layer.title: layer for layer in shown_layers(atlas)}
            pictures = Pictures(atlas, layers, self._shelf)
            self._opened = _Opened(state, pictures, Bench(atlas, pictures))
            return self._opened

    def _state(self) -> tuple[float, ...]:
        """What changes when the atlas does; () while it has no manifest."""
        with suppress(FileNotFoundError):
            manifest = (self.folder / "manifest.json").stat()
            return manifest.st_size, manifest.st_mtime_ns
        return ()
