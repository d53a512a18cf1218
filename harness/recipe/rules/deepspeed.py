"""What cannot work under DeepSpeed, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.deepspeed import DeepSpeed
from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


def _by_deepspeed(recipe: Recipe) -> bool:
    return recipe.engine == "deepspeed"


@rule
def deepspeed_of_that_engine(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.deepspeed != DeepSpeed() and not _by_deepspeed(recipe):
        given = ", ".join(recipe.deepspeed.model_dump(exclude_defaults=True))
        return f"deepspeed.{given} and engine {recipe.engine}", "set engine: deepspeed, or leave it out"
    return None


@rule
def deepspeed_by_fields_or_by_file(recipe: Recipe) -> tuple[str, str] | None:
    asked = recipe.deepspeed
    if asked.config and (asked.stage is not None or asked.offload_optimizer or asked.offload_parameters):
        return (
            f"deepspeed.config {asked.config} beside a stage or offload: the file says them",
            "keep one of them",
        )
    return None


@rule
def parameters_offloaded_at_stage_3(recipe: Recipe) -> tuple[str, str] | None:
    """DeepSpeed takes the section at any stage, and heeds it at the third alone: without a word."""
    stage = recipe.deepspeed.stage
    if recipe.deepspeed.offload_parameters and stage != 3:
        return (
            f"deepspeed.offload_parameters and deepspeed.stage {2 if stage is None else stage}: stage 3 alone offloads"
            " them",
            "set deepspeed.stage: 3, or leave it out",
        )
    return None


@rule
def optimizer_offloaded_by_zero(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.deepspeed.offload_optimizer and recipe.deepspeed.stage == 0:
        return (
            "deepspeed.offload_optimizer and deepspeed.stage 0: without ZeRO nothing is offloaded",
            "set deepspeed.stage: 1, 2 or 3",
        )
    return None


@rule
def gathered_by_names_that_deepspeed_knows(recipe: Recipe) -> tuple[str, str] | None:
    """A loop's own state dict of a model whose parameters lie in parts would be empty."""
    if _by_deepspeed(recipe) and recipe.saves == "native":
        return (
            "engine deepspeed and save.what native: a native loop saves what it has in memory, which is a part",
            "set save.what: full, or engine: torch",
        )
    return None


@rule
def ranks_given_away_by_a_plain_loop(recipe: Recipe) -> tuple[str, str] | None:
    """AdaLoRA looks at whole gradients after each step, and under ZeRO there are none."""
    if _by_deepspeed(recipe) and recipe.peft and recipe.peft.method == "adalora":
        return (
            "engine deepspeed and adapter.method adalora: it gives ranks away by gradients that ZeRO has taken apart",
            "set engine: torch",
        )
    return None


@rule
def scale_that_deepspeed_begins_with(recipe: Recipe) -> tuple[str, str] | None:
    """It halves at each overflow: from a scale that overflows for certain it would skip more steps than there are."""
    if _by_deepspeed(recipe) and recipe.precision == "pure-fp16" and recipe.loss_scaler.init_scale is None:
        return (
            "engine deepspeed, precision pure-fp16 and no loss_scaler.init_scale: it says how many steps are skipped",
            "set loss_scaler.init_scale: 65536",
        )
    return None
