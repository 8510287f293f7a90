"""Targets → pictures whose activation points the way of the target. Knows no cells."""

from actatlas.bands import false_colours
from actatlas.inversion.expectation import learn_expectation
from actatlas.inversion.fidelity import cosines_to_targets, measure, measure_icons, paired_cosines, ranks
from actatlas.inversion.painting import (
    Painting,
    directions_of,
    invert,
    nearest_directions,
    picture_key,
    require_paintable,
)
from actatlas.inversion.renderer import Renderer, side_px
from actatlas.inversion.rounds import round_sizes
from actatlas.inversion.settings import InversionSettings
from actatlas.inversion.sheet import Sheet

__all__ = [
    "InversionSettings",
    "Painting",
    "Renderer",
    "Sheet",
    "cosines_to_targets",
    "directions_of",
    "false_colours",
    "invert",
    "learn_expectation",
    "measure",
    "measure_icons",
    "nearest_directions",
    "paired_cosines",
    "picture_key",
    "ranks",
    "require_paintable",
    "round_sizes",
    "side_px",
]
