"""Activations → a point on the map for each: UMAP on a graph without an activation's own photo, layers aligned."""

from actatlas.layout.between import lay_out_between
from actatlas.layout.flow import LayoutSettings, as_given, lay_out
from actatlas.layout.tsne import lay_out_tsne

__all__ = ["LayoutSettings", "as_given", "lay_out", "lay_out_between", "lay_out_tsne"]
