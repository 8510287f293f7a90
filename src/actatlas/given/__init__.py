"""Vectors that a user brings → photos, activations, and the layout and clusters that came with them."""

from actatlas.given.tables import read_columns
from actatlas.given.vectors import GivenVectors, take_points, take_vectors

__all__ = ["GivenVectors", "read_columns", "take_points", "take_vectors"]
