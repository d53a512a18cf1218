"""What cannot work of native saves, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def settings_of_native_saves(recipe: Recipe) -> tuple[str, str] | None:
    """Trainers that write safetensors name, round and resume in their own ways."""
    save = recipe.save
    asked = [name for name in ("name", "half", "resume") if getattr(save, name)]
    if asked and recipe.saves != "native":
        names = ", ".join(f"save.{name}" for name in asked)
        return f"{names} and save.what {recipe.saves}: they are of native state dicts", "set save.what: native"
    return None


@rule
def half_of_weights_in_fp32(recipe: Recipe) -> tuple[str, str] | None:
    """What is kept in bf16 loses its smallest values on the way to fp16, and what is in fp16 loses nothing."""
    if recipe.save.half and recipe.precision.startswith("pure-"):
        return (
            f"save.half and precision {recipe.precision}: what it rounds are weights in fp32",
            "leave save.half out, or set precision: bf16 or fp16",
        )
    return None
