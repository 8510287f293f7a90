"""What of an atlas its page shows."""

from __future__ import annotations

from dataclasses import dataclass

from actatlas.atlas import Atlas, ClassAtlas, Layer
from actatlas.errors import UsageError
from actatlas.values import Examples

# The longer side, in pixels, of the photos that ship; None where none do.
LONGEST_PX: dict[Examples, int | None] = {"none": None, "patches": None, "thumbs": 256, "originals": 1024}


@dataclass(frozen=True)
class SiteSettings:
    """examples: what is shown of photos. "none": nothing that was made of their pixels but icons; "patches": small real
        patches; "thumbs" and "originals": these, and each photo that a patch is of, its longer side 256 or 1,024 px
    layers, grids: names and sides; empty for all. An atlas of a class comes with its layer, and has its own grid
    """

    examples: Examples = "patches"
    layers: tuple[str, ...] = ()
    grids: tuple[int, ...] = ()

    @property
    def longest_px(self) -> int | None:
        return LONGEST_PX[self.examples]

    @property
    def is_whole(self) -> bool:
        """Whether all layers and grids are shown."""
        return not self.layers and not self.grids

    def layers_of(self, atlas: Atlas) -> list[Layer]:
        """The layers in forward order, then the atlases of classes. Raises LayerNotFound, or UsageError for a grid."""
        wanted = [atlas.layer(name).name for name in self.layers] or atlas.layer_names
        layers = [atlas.layer(name) for name in atlas.layer_names if name in wanted]
        there = sorted({side for layer in layers for side in layer.grid_sides})
        for side in self.grids:
            if side not in there:
                raise UsageError(f"{atlas.folder} has no {side} × {side} grid; it has: {', '.join(map(str, there))}")
        return [*layers, *(one for one in atlas.class_atlases if one.layer.name in wanted)]

    def sides_of(self, layer: Layer) -> list[int]:
        """Of the layer's grids those that are shown, the coarsest first."""
        if not self.grids or isinstance(layer, ClassAtlas):
            return layer.grid_sides
        return [side for side in layer.grid_sides if side in self.grids]

    def shows(self, layer: str, side: int) -> bool:
        return (not self.layers or layer in self.layers) and (not self.grids or side in self.grids)
