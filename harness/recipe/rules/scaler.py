"""What cannot work of a gradient scaler that is to overflow, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe

OF_THE_SCALE = ("init_scale", "growth_interval", "backoff_factor")


@rule
def no_scaler_without_masters(recipe: Recipe) -> tuple[str, str] | None:
    """torch raises "Attempting to unscale FP16 gradients": pure fp16 has no fp32 masters to unscale into."""
    if recipe.precision == "pure-fp16" and recipe.scaler_enabled and recipe.engine != "deepspeed":
        return (
            "precision pure-fp16 and loss_scaler on: pure fp16 has no fp32 master weights to unscale into",
            "set loss_scaler: off, or precision: fp16",
        )
    return None


@rule
def scaler_by_rule_or_by_word(recipe: Recipe) -> tuple[str, str] | None:
    settings = recipe.loss_scaler
    if settings.rule and settings.enabled != "auto":
        return (
            f"loss_scaler.rule {settings.rule} and loss_scaler.enabled {settings.enabled}: each says when it is on",
            "keep one of them",
        )
    return None


@rule
def overflow_of_a_scaler(recipe: Recipe) -> tuple[str, str] | None:
    at = recipe.loss_scaler.overflow_at
    if at is None:
        return None
    if not recipe.scaler_enabled:
        return f"loss_scaler.overflow_at {at}, and no loss_scaler is on", "set precision: fp16, or leave it out"
    if given := [name for name in OF_THE_SCALE if name in recipe.loss_scaler.model_fields_set]:
        return (
            f"loss_scaler.overflow_at {at} and loss_scaler.{given[0]}: the first says what the second has to be",
            "keep one of them",
        )
    return None


@rule
def one_overflow_and_a_step_after_it(recipe: Recipe) -> tuple[str, str] | None:
    """A scale that grows too far after so many steps without an overflow does so again after as many more."""
    at, steps = recipe.loss_scaler.overflow_at, recipe.steps
    if at is None:
        return None
    if steps < at + 2:
        return (
            f"loss_scaler.overflow_at {at} and steps {steps}: no step comes after the one that overflows",
            f"set steps: {at + 2} or more",
        )
    if at and steps > 2 * at + 1:
        return (
            f"loss_scaler.overflow_at {at} and steps {steps}: step {2 * at + 1} would overflow, too",
            f"set steps: {2 * at + 1} or fewer",
        )
    return None


@rule
def settings_that_deepspeed_has_its_own_of(recipe: Recipe) -> tuple[str, str] | None:
    """DeepSpeed makes optimizer and loss scale itself, from its own configuration."""
    named = {
        "loss_scaler.overflow_at": recipe.loss_scaler.overflow_at is not None,
        "optimizer.fused": recipe.optimizer.fused,
    }
    if recipe.engine == "deepspeed" and (given := [name for name, asked in named.items() if asked]):
        return f"{given[0]} and engine deepspeed: it makes them itself", "set engine: torch or trainer, or leave it out"
    return None
