"""Learning-rate schedules, as factors of each group's base rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from harness.recipe import Optimizer


def factor_of_step(settings: Optimizer, steps: int) -> Callable[[int], float]:
    """The factor at each optimizer step from 0: a linear warm-up, then constant, or falling to the floor, in a line or
    as half a cosine."""

    def factor(step: int) -> float:
        if step < settings.warmup_steps:
            return (step + 1) / (settings.warmup_steps + 1)
        progress = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
        if settings.schedule == "linear":
            return settings.floor + (1 - settings.floor) * max(0.0, 1 - progress)
        if settings.schedule == "cosine":
            return settings.floor + (1 - settings.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return 1.0

    return factor
