"""What a recipe cannot be asked to agree with, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def agrees_with_one_batch(recipe: Recipe) -> tuple[str, str] | None:
    """The mean of means is the mean of all only where each is over as many tokens."""
    if "one-batch" not in recipe.agrees_with:
        return None
    if recipe.optimizer.accumulation == 1:
        return (
            "agrees_with one-batch, and optimizer.accumulation is 1: there is one batch",
            "accumulate, or leave it out",
        )
    if recipe.optimizer.loss_average != "token":
        return (
            f"agrees_with one-batch, and optimizer.loss_average {recipe.optimizer.loss_average}: a mean of means is"
            " another number",
            "set optimizer.loss_average: token",
        )
    return None


@rule
def one_batch_for_each_process(recipe: Recipe) -> tuple[str, str] | None:
    """As `data_for_each_process`, of the run that sees all of a step at once."""
    if "one-batch" not in recipe.agrees_with:
        return None
    together = recipe.data.batch_size * recipe.optimizer.accumulation * recipe.processes
    if recipe.processes > 1 and recipe.data.samples and recipe.data.samples % together:
        return (
            f"agrees_with one-batch, and data.samples {recipe.data.samples} over {recipe.processes} processes: no"
            f" multiple of the {together} that make one step",
            f"set data.samples to a multiple of {together}, or leave it out",
        )
    return None


@rule
def agrees_with_fp32(recipe: Recipe) -> tuple[str, str] | None:
    if "fp32" not in recipe.agrees_with:
        return None
    if recipe.precision not in ("bf16", "fp16"):
        return (
            f"agrees_with fp32, and precision {recipe.precision}: that is for 16 bits computed over fp32 weights",
            "set precision: bf16 or fp16, or leave it out",
        )
    if recipe.scaler_enabled and recipe.loss_scaler.init_scale is None:
        return (
            "agrees_with fp32, and a loss_scaler that overflows on purpose: the step that it skips is one less",
            "set loss_scaler.init_scale: 65536",
        )
    return None


@rule
def agrees_with_eager(recipe: Recipe) -> tuple[str, str] | None:
    if "eager" in recipe.agrees_with and not recipe.data.lazy:
        return "agrees_with eager, and data.lazy is off", "set data.lazy: true, or leave it out"
    return None


@rule
def agrees_with_eager_attention(recipe: Recipe) -> tuple[str, str] | None:
    if "eager-attention" in recipe.agrees_with and recipe.attention == "eager":
        return "agrees_with eager-attention, and attention is eager itself", "set attention: sdpa, or leave it out"
    return None


@rule
def agrees_with_no_checkpointing(recipe: Recipe) -> tuple[str, str] | None:
    if "no-checkpointing" in recipe.agrees_with and not recipe.checkpointing:
        return "agrees_with no-checkpointing, and checkpointing is off", "set checkpointing: true, or leave it out"
    return None
