"""The read side of an atlas folder, finished or growing: what pictures, sites, servers and notebooks share. No torch.

`records.py` is the side that writes.
"""

from actatlas.atlas.cells import Grid
from actatlas.atlas.layer import Layer
from actatlas.atlas.reader import Atlas, open

__all__ = ["Atlas", "Grid", "Layer", "open"]
