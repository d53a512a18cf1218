"""Layer 3, making side. How much memory a fine-tune of full size takes, from counts alone."""

from harness.memory.counts import Counts
from harness.memory.estimators import estimator_name
from harness.memory.machine import Machine, machine_from
from harness.memory.strategies import NOT_INCLUDED, STRATEGIES, Need, needs

__all__ = ["NOT_INCLUDED", "STRATEGIES", "Counts", "Machine", "Need", "estimator_name", "machine_from", "needs"]
