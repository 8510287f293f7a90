"""A second set of photos on a finished atlas: where they fall, what they leave out, what the atlas has nothing like."""

from actatlas.projection.drawing import draw_projection
from actatlas.projection.making import project
from actatlas.projection.settings import ProjectionSettings

__all__ = ["ProjectionSettings", "draw_projection", "project"]
