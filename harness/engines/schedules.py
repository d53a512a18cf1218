"""Learning-rate schedules, as factors of each group's base rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from harness.recipe import Optimizer


def factor_of_step(settings: Optimizer, steps: int) -> Callable[[int], float]:
    """The factor at each optimizer step from 0: a linear warm-up, then constant, linear to 0, or half a cosine to 0 or
    to a tenth."""

    def factor(step: int) -> float:
        if step < settings.warmup_steps:
            return (step + 1) / (settings.warmup_steps + 1)
        progress = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
        if settings.schedule == "linear":
            return max(0.0, 1 - progress)
        if settings.schedule == "cosine-to-tenth":
            return 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, progress)))
        if settings.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return 1.0

    return factor
