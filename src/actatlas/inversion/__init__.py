"""Targets → pictures whose activation points the way of the target. Knows no cells."""

from actatlas.bands import false_colours
from actatlas.inversion.expectation import learn_expectation
from actatlas.inversion.fidelity import measure, measure_icons
from actatlas.inversion.painting import Painting, directions_of, invert, nearest_directions
from actatlas.inversion.renderer import Renderer, side_px
from actatlas.inversion.rounds import round_sizes
from actatlas.inversion.settings import InversionSettings

__all__ = [
    "InversionSettings",
    "Painting",
    "Renderer",
    "directions_of",
    "false_colours",
    "invert",
    "learn_expectation",
    "measure",
    "measure_icons",
    "nearest_directions",
    "round_sizes",
    "side_px",
]
