"""The read side of an atlas folder, finished or growing: what pictures, sites, servers and notebooks share. No torch.

`records.py` is the side that writes.
"""

from actatlas.atlas.cell import Cell, Facet, Icon
from actatlas.atlas.cells import Grid
from actatlas.atlas.layer import Layer
from actatlas.atlas.patches import cut_patches
from actatlas.atlas.reader import Atlas, open

__all__ = ["Atlas", "Cell", "Facet", "Grid", "Icon", "Layer", "cut_patches", "open"]
