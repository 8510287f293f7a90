"""The whole page in one file: the app, its data and its pictures. It asks for nothing, not even beside itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from actatlas.atlas import Atlas, ClassAtlas
from actatlas.errors import TooLargePage
from actatlas.progress import Progress
from actatlas.site.data import data_of, public_title
from actatlas.site.frame import single_page
from actatlas.site.settings import SiteSettings
from actatlas.site.writer import write_site

MOST_BYTES = 50_000_000  # what people still send, and browsers open in a few seconds
_TYPES = {".webp": "image/webp", ".jpg": "image/jpeg"}


def single_file(
    atlas: Atlas, settings: SiteSettings, progress: Progress, most_bytes: int | None = None, begin: str = ""
) -> bytes:
    """The page of an atlas as one HTML file. Raises TooLargePage, saying what to leave out.

    most_bytes: None for 50 MB; begin: the address that it begins with in a frame
    """
    most = MOST_BYTES if most_bytes is None else most_bytes
    root, size = Path("site"), 0
    held: dict[str, str] = {}

    def hold(path: Path, content: bytes) -> None:
        nonlocal size
        name = path.relative_to(root).as_posix()
        value = held_value(name, content)
        if value is not None:
            held[name] = value
            size += len(name) + len(value) + 4
            if size > most:
                raise _too_large(atlas, settings, most)

    write_site(atlas, root, hold, progress, settings)
    return single_page(public_title(atlas), held_text(held), begin=begin)


def held_text(held: Mapping[str, str]) -> str:
    """Files by their path, each as `held_value` gives it, as the page reads them."""
    return f"{{{','.join(f'{json.dumps(name)}:{value}' for name, value in held.items())}}}"


def held_value(name: str, content: bytes) -> str | None:
    """JSON: a picture's data: URL, a data file's value; None for what the page does not ask for."""
    kind = _TYPES.get(Path(name).suffix)
    if kind is not None:
        return f'"data:{kind};base64,{base64.b64encode(content).decode()}"'
    if name.startswith("app.") or not name.endswith(".js"):
        return None
    return data_of(content)


def _too_large(atlas: Atlas, settings: SiteSettings, most_bytes: int) -> TooLargePage:
    layers = [layer for layer in settings.layers_of(atlas) if not isinstance(layer, ClassAtlas)]
    sides = sorted({side for layer in layers for side in settings.sides_of(layer)})
    ways = [f"fewer grids (--grid {sides[0]})"] * (len(sides) > 1)
    ways += [f"fewer layers (--layer {layers[-1].name})"] * (len(layers) > 1)
    ways += ["less of the photos (--examples none)"] * (settings.examples != "none")
    return TooLargePage(
        f"the page of {atlas.folder} is larger than {most_bytes // 1_000_000} MB in one file; "
        + f"show {' or '.join(ways)}; " * bool(ways)
        + f"a folder has no such limit: actatlas site {atlas.folder} -o OUT",
        most_bytes=most_bytes,
    )
