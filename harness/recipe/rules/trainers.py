"""What cannot work under transformers' Trainer, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def trainer_scales_fp16_alone(recipe: Recipe) -> tuple[str, str] | None:
    """Accelerate unscales before it clips under fp16 alone: elsewhere a scaler's gradients would be clipped scaled."""
    if recipe.engine == "trainer" and recipe.scaler_enabled and recipe.precision != "fp16":
        return (
            f"engine trainer, and a loss_scaler that is on under precision {recipe.precision}: Accelerate scales under"
            " fp16 alone",
            "set loss_scaler: off, or engine: torch",
        )
    return None


@rule
def saved_by_a_trainer(recipe: Recipe) -> tuple[str, str] | None:
    asked = recipe.save
    if asked.by != "trainer":
        return None
    if recipe.engine != "trainer":
        return f"save.by trainer and engine {recipe.engine}: there is no trainer", "set engine: trainer"
    if recipe.saves not in ("full", "adapter"):
        return (
            f"save.by trainer and save.what {recipe.saves}: a trainer saves a whole model, or an adapter",
            "set save.what: full, or leave save.by out",
        )
    if asked.max_shard_size != "auto":
        return (
            f"save.by trainer and save.max_shard_size {asked.max_shard_size}: nobody can tell a trainer of it",
            "leave one of them out",
        )
    return None


@rule
def agrees_with_torch(recipe: Recipe) -> tuple[str, str] | None:
    """The Trainer seeds anew when it is made: what an adapter drops is then other elements than in a plain loop."""
    if "torch" not in recipe.agrees_with:
        return None
    if recipe.engine == "torch":
        return "agrees_with torch, and engine torch", "set engine: trainer, or leave it out"
    if recipe.engine == "deepspeed" and recipe.precision.startswith("pure-"):
        return (
            f"agrees_with torch, and precision {recipe.precision}: DeepSpeed keeps masters in fp32, a plain loop none",
            "set precision: fp32 or bf16, or leave it out",
        )
    if recipe.peft and recipe.peft.dropout:
        return (
            f"agrees_with torch, and dropout {recipe.peft.dropout:g}: each engine draws other numbers",
            "set dropout: 0, or leave it out",
        )
    return None
