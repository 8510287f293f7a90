"""What can be asked of an open lab: each question's parts are read, and handed to what answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actatlas.errors import ActatlasError
from actatlas.lab import asking
from actatlas.lab.asking import Asked
from actatlas.lab.bench import Bench
from actatlas.lab.lighting import lights
from actatlas.lab.pictures import MOST_PHOTOS, Pictures, Shelf
from actatlas.lab.suggesting import suggest
from actatlas.site import SiteSettings
from actatlas.working import WorkingAtlas

LEAST_STEPS, MOST_STEPS = 16, 512
LEAST_PX, MOST_PX = 8, 256
MOST_FACETS = 6
LEAST_SIDE, MOST_SIDE = 2, 320


class Questions:
    """About one atlas as it is now. Raises what loading its network raises."""

    def __init__(self, atlas: WorkingAtlas, shelf: Shelf):
        self.pictures = Pictures(atlas, {layer.title: layer for layer in SiteSettings().layers_of(atlas)}, shelf)
        self.bench = Bench(atlas, self.pictures)

    def answer(self, question: str, asked: Asked) -> dict[str, Any]:
        """Raises ActatlasError for what cannot be answered."""
        answers: dict[str, Callable[[Asked], dict[str, Any]]] = {
            "status": self._status, "photos": self._photos, "predict": self._predict, "suggest": self._suggest,
            "icon": self._icon, "facets": self._facets, "lights": self._lights,
        }  # fmt: skip
        return answers[question](asked)

    def _status(self, _: Asked) -> dict[str, Any]:
        """What there is, and why what there is not is not."""
        bench, without = self.bench, {}

        def tried(part: str, attempt: Callable[[], Any]) -> Any:
            try:
                return attempt()
            except ActatlasError as error:
                without[part] = str(error).replace(str(bench.atlas.folder), "This atlas")

        photos = tried("photos", lambda: self.pictures.photo_count)
        names = tried("classes", lambda: bench.names)
        tried("lights", bench.require_means)
        tried("icon", bench.require_colours)
        return {
            "closed": None, "without": without, "photos": photos or 0,
            "input_px": list(bench.atlas.preprocessing.input_px),
            "misunderstandings": len(bench.confusions) if names else 0,
        }  # fmt: skip

    def _photos(self, asked: Asked) -> dict[str, Any]:
        start, count = asking.whole(asked, "from", default=0), asking.whole(asked, "count", 1, MOST_PHOTOS, 24)
        return self.pictures.photos(start, count, asking.text(asked, "query") if "query" in asked else "")

    def _predict(self, asked: Asked) -> dict[str, Any]:
        photo, patch = asking.photo(asked), asking.patch(asked)
        return self.bench.predict(photo, patch, None if patch is None else asking.place(asked))

    def _suggest(self, asked: Asked) -> dict[str, Any]:
        photo = asking.photo(asked) if asked.get("photo") is not None else None
        named = asked.get("target")
        target = None if named is None else self.bench.atlas.class_names.find(str(named)[:100])
        return suggest(self.bench, photo, target)

    def _icon(self, asked: Asked) -> dict[str, Any]:
        cell, steps = asking.cell(asked), asking.whole(asked, "steps", LEAST_STEPS, MOST_STEPS, 128)
        px = None if asked.get("px") is None else asking.whole(asked, "px", LEAST_PX, MOST_PX)
        return self.bench.icon(cell, steps, px)

    def _facets(self, asked: Asked) -> dict[str, Any]:
        cell, count = asking.cell(asked), asking.whole(asked, "count", 1, MOST_FACETS, 3)
        return self.bench.facets(cell, count)

    def _lights(self, asked: Asked) -> dict[str, Any]:
        side = None if asked.get("side") is None else asking.whole(asked, "side", LEAST_SIDE, MOST_SIDE)
        return lights(self.bench, asking.photo(asked), side)
