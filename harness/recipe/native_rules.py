"""What cannot work of native saves, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules import rule

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
