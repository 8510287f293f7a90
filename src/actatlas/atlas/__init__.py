"""The read side of an atlas folder, finished or growing: what pictures, sites, servers and notebooks share. No torch.

`records.py` is the side that writes.
"""

from actatlas.atlas.cell import Cell, Facet, Icon, clusters_of
from actatlas.atlas.cells import Grid
from actatlas.atlas.class_atlas import ClassAtlas
from actatlas.atlas.layer import Layer
from actatlas.atlas.names import ClassNames
from actatlas.atlas.patches import PhotoCutter, cut_patches, cut_pictures, over_photos, shorter_side_for
from actatlas.atlas.projection import STATES, Projection
from actatlas.atlas.reader import Atlas, collections_of, open

__all__ = [
    "STATES", "Atlas", "Cell", "ClassAtlas", "ClassNames", "Facet", "Grid", "Icon", "Layer", "PhotoCutter",
    "Projection", "clusters_of", "collections_of", "cut_patches", "cut_pictures", "open", "over_photos",
    "shorter_side_for",
]  # fmt: skip
