"""Where units of work run: in this process, or on the workers of a Ray cluster. Both give the same results.

Every unit may be run more than once, and gives the same each time; who asked for it keeps its result once.
"""

from actatlas.executors.here import InProcess
from actatlas.executors.on_ray import Ray
from actatlas.executors.work import Executor, Recipe, Work

__all__ = ["Executor", "InProcess", "Ray", "Recipe", "Work"]
