"""What every result of the toolkit can be turned into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from PIL import Image

from actatlas.errors import UsageError
from actatlas.store.durable import write_file
from actatlas.store.pictures import png
from actatlas.toolkit.page import page
from actatlas.toolkit.sheet import Leaf, draw_sheet


def kind_of(path: Path) -> str:
    """ ".png" or ".html". Raises UsageError for other names."""
    kind = path.suffix.lower()
    if kind not in (".png", ".html"):
        raise UsageError(f"{path} is no name of a picture or page; let it end in .png or .html")
    return kind


class Result(ABC):
    @abstractmethod
    def leaf(self) -> Leaf:
        """What is shown."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Its numbers; no pictures."""

    def picture(self) -> Image.Image:
        """All of it on one sheet, RGB."""
        return draw_sheet(self.leaf())

    def html(self) -> str:
        """The same as one page that asks for nothing, with its numbers."""
        return page(self.leaf(), self.to_json())

    def save(self, path: str | Path) -> Path:
        """As .png or .html, by the name; whole or not at all. Where it lies. Raises UsageError for other names."""
        out = Path(path).expanduser().resolve()
        write_file(out, png(self.picture()) if kind_of(out) == ".png" else self.html().encode())
        return out

    def _repr_png_(self) -> bytes:
        return png(self.picture())
