"""Targets → pictures whose activation points the way of the target. Knows no cells."""

from actatlas.inversion.fidelity import measure, measure_icons
from actatlas.inversion.painting import invert
from actatlas.inversion.settings import InversionSettings

__all__ = ["InversionSettings", "invert", "measure", "measure_icons"]
