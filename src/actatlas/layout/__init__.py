"""Activations → a point on the map for each: UMAP on a graph without an activation's own photo, layers aligned."""

from actatlas.layout.flow import LayoutSettings, lay_out

__all__ = ["LayoutSettings", "lay_out"]
