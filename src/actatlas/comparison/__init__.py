"""Two networks, or two checkpoints, on one map: what each keeps together, and which cells come, go, or change class."""

from actatlas.comparison.comparing import Comparison, ComparisonSettings, compare_layers
from actatlas.comparison.drawing import draw_comparison
from actatlas.comparison.keeping import KeptComparison, Paint, keep_comparison
from actatlas.comparison.layers import choose_layers
from actatlas.comparison.telling import comparison_table, comparison_value

__all__ = [
    "Comparison", "ComparisonSettings", "KeptComparison", "Paint", "choose_layers", "compare_layers",
    "comparison_table", "comparison_value", "draw_comparison", "keep_comparison",
]  # fmt: skip
