"""Checks of any training: they need no intent, for what they say holds of every training that does what it means to.

They look at all models and optimizers of a script, and at nothing that a script may rightly do otherwise.
"""

from harness.checks.universal.registry import UNIVERSAL, judge_costs, judge_script

__all__ = ["UNIVERSAL", "judge_costs", "judge_script"]
