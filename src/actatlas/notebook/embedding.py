"""The page of an atlas as an output that is complete in itself: it survives conversion to HTML, and needs no Python."""

from __future__ import annotations

from dataclasses import dataclass, replace

from actatlas.atlas import Atlas, ClassAtlas, Layer
from actatlas.errors import TooLargePage
from actatlas.notebook.page import Start
from actatlas.progress import Silent
from actatlas.site import SiteSettings, own_examples, public_title, single_file

MOST_BYTES = 15_000_000  # a notebook of more is slow to open and to save


@dataclass(frozen=True)
class EmbeddedAtlas:
    """Shows itself where a notebook shows HTML.

    html: the page, complete in itself; left_out: what did not fit in, in words; empty where all did
    """

    title: str
    html: bytes
    left_out: str
    height: int

    @property
    def size_bytes(self) -> int:
        return len(self.html)

    def _repr_html_(self) -> str:
        # In single quotes, as few of which need escaping as there are many double ones in the page's data.
        page = self.html.decode("utf-8", "replace").replace("&", "&amp;").replace("'", "&#39;")
        frame = f"<iframe title='Activation atlas' sandbox='allow-scripts allow-downloads' srcdoc='{page}'"
        style = f"style='width:100%;height:{self.height}px;border:0;display:block'"
        return f"{frame} {style}></iframe><p style='font-size:0.85em;opacity:0.75'>{self._caption()}</p>"

    def __repr__(self) -> str:
        return f"EmbeddedAtlas({self.title!r}, {self.size_bytes:,} bytes{'; ' * bool(self.left_out)}{self.left_out})"

    def _caption(self) -> str:
        told = f"This output holds the whole page: {self.size_bytes / 1e6:.1f} MB."
        return f"{told} Left out to stay below {MOST_BYTES / 1e6:.0f} MB: {self.left_out}." if self.left_out else told


def embed(
    atlas: Atlas, layer: str | Layer | None, grid: int | None, cell: tuple[int, int] | None, height: int
) -> EmbeddedAtlas:
    """See WorkingAtlas.embed."""
    start = Start.of(atlas, layer, grid, cell)
    whole = SiteSettings(own_examples(atlas))
    for left_out, settings in _ways(atlas, whole, start):
        try:
            html = single_file(atlas, settings, Silent(), MOST_BYTES, start.address)
        except TooLargePage:
            continue
        return EmbeddedAtlas(public_title(atlas), html, left_out, height)
    return EmbeddedAtlas(
        public_title(atlas), single_file(atlas, settings, Silent(), begin=start.address), left_out, height
    )


def _ways(atlas: Atlas, whole: SiteSettings, start: Start) -> list[tuple[str, SiteSettings]]:
    """What may be shown, from all to least, with what is left out."""
    layers = [atlas.layer(name) for name in atlas.layer_names]
    sides = {start.side, *(layer.grid_sides[0] for layer in layers if layer.grid_sides)}
    finer = sorted({side for layer in layers for side in layer.grid_sides} - sides)
    found = [("", whole)]
    told = f"grids of {', '.join(map(str, finer))}" if finer else ""
    coarse = replace(whole, grids=tuple(sorted(sides))) if finer else whole
    if finer:
        found.append((told, coarse))
    if whole.examples != "none":
        coarse = replace(coarse, examples="none")
        told = ", ".join(filter(None, [told, "what was made of photos"]))
        found.append((told, coarse))
    if len(layers) > 1:
        name = start.layer.layer.name if isinstance(start.layer, ClassAtlas) else start.layer.name
        found.append((", ".join(filter(None, [told, f"all layers but {name}"])), replace(coarse, layers=(name,))))
    return found
