"""Layer 2, judging side. Where two runs that should agree part ways: one comparator for everything."""

from harness.comparator.comparing import compare, compare_observed
from harness.comparator.comparison import Comparison, Difference, FieldComparison, Verdict
from harness.comparator.observed import Observed, Place
from harness.comparator.tolerances import BITWISE, Tolerance, Tolerances, across_stacks

__all__ = [
    "BITWISE",
    "Comparison",
    "Difference",
    "FieldComparison",
    "Observed",
    "Place",
    "Tolerance",
    "Tolerances",
    "Verdict",
    "across_stacks",
    "compare",
    "compare_observed",
]
