"""Layer 3. What a release gate holds beyond the suites' own checks: goldens, and the directories that recipes saved.

All of it becomes results of the recipes that it is about, under names of its own.
"""

from harness.gate.names import CHECKS_OF_A_GATE, OF_GOLDENS, OF_SAVED

__all__ = ["CHECKS_OF_A_GATE", "OF_GOLDENS", "OF_SAVED"]
