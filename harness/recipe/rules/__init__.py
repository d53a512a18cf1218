"""What cannot work, by name. Each rule names the two settings and the remedy.

A rule sees a recipe whose fields are valid one by one; it is checked before any model is built.
"""

from __future__ import annotations

from harness.recipe.rules import (  # noqa: F401 - each registers its rules
    adapters,
    budgets,
    deepspeed,
    devices,
    equivalences,
    logs,
    methods,
    native,
    optimizer,
    processes,
    resuming,
    saving,
    scaler,
    trainers,
    tuning,
)
from harness.recipe.rules.registry import RULES, Broken, broken_rule
from harness.recipe.rules.tuning import ENGINES, NEEDS_INSTALLED

__all__ = ["ENGINES", "NEEDS_INSTALLED", "RULES", "Broken", "broken_rule"]
