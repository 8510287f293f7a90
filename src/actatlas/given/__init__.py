"""Vectors that a user brings → photos, activations, and the layout and clusters that came with them."""

from actatlas.given.tables import read_columns, read_vector
from actatlas.given.vectors import GivenVectors, take_points, take_vectors

__all__ = ["GivenVectors", "read_columns", "read_vector", "take_points", "take_vectors"]
