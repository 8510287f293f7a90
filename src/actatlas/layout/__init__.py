"""Activations → a point on the map for each: UMAP on a graph without an activation's own photo, layers aligned."""

from actatlas.layout.between import lay_out_between
from actatlas.layout.flow import lay_out
from actatlas.layout.framing import as_given
from actatlas.layout.manners import lays_out_landmarks
from actatlas.layout.neighbours import graph_of, nearest_among, nearest_rows
from actatlas.layout.settings import LayoutSettings
from actatlas.layout.tsne import lay_out_tsne
from actatlas.layout.union import lay_out_union, united

__all__ = [
    "LayoutSettings", "as_given", "graph_of", "lay_out", "lay_out_between", "lay_out_tsne", "lay_out_union",
    "lays_out_landmarks", "nearest_among", "nearest_rows", "united",
]  # fmt: skip
