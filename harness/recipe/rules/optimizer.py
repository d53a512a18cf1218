"""Rates and schedules that contradict each other, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def warmup_within_steps(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.optimizer.warmup_steps >= recipe.steps:
        return (
            f"optimizer.warmup_steps {recipe.optimizer.warmup_steps} is not below steps {recipe.steps}: "
            "no step has the full rate",
            "use more steps or a shorter warm-up",
        )
    return None


@rule
def floor_of_a_falling_schedule(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.optimizer.floor and recipe.optimizer.schedule == "constant":
        return (
            f"optimizer.floor {recipe.optimizer.floor:g} and optimizer.schedule constant: nothing falls to it",
            "set schedule: cosine or linear, or leave the floor out",
        )
    return None


@rule
def rates_by_component_or_by_name(recipe: Recipe) -> tuple[str, str] | None:
    """MGM takes mm_projector_lr and lr_multi, and the first silently wins."""
    if recipe.optimizer.component_rates and recipe.optimizer.rate_factors:
        return "optimizer.component_rates and optimizer.rate_factors are both given", "keep one of them"
    return None


@rule
def rates_of_components_that_train(recipe: Recipe) -> tuple[str, str] | None:
    trains = {t.component for t in recipe.tune} | set(recipe.peft.components if recipe.peft else ())
    if idle := sorted(set(recipe.optimizer.component_rates) - trains):
        return (
            f"optimizer.component_rates names {', '.join(idle)}, which does not train",
            f"remove it, or add {idle[0]} to tune",
        )
    return None
