"""What cannot be saved so, by name; see `rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe.rules.registry import rule

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@rule
def adapter_saved_without_adapter(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.save.what == "adapter" and not recipe.peft:
        return "save.what is adapter and the recipe has no adapter", "set save.what: full, or add lora"
    return None


@rule
def other_save_beside_adapter(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.peft and recipe.saves not in ("adapter", "nothing"):
        what = f"save.what is {recipe.save.what} and the recipe has an adapter"
        return what, "save the adapter and merge it afterwards"
    return None


@rule
def files_from_base_beside_whole_weights(recipe: Recipe) -> tuple[str, str] | None:
    """A directory with the base's configuration and no weights of its own would pass for a model."""
    if recipe.save.files_from_base and recipe.saves != "full":
        return f"save.files_from_base and save.what {recipe.saves}: it completes a whole model", "set save.what: full"
    return None


@rule
def beside_an_adapter_that_is_saved(recipe: Recipe) -> tuple[str, str] | None:
    """What trains in place is in no copy of peft's: the adapter's file alone would lose it."""
    beside = recipe.save.beside_adapter
    if beside and (not recipe.peft or recipe.saves != "adapter"):
        return f"save.beside_adapter {beside} without an adapter that is saved", "add lora and save.what: adapter"
    if beside and recipe.peft and recipe.peft.modules_to_save:
        return (
            f"save.beside_adapter {beside} and modules_to_save: one saves what trains in place, the other copies",
            "name the components in tune, and keep one of the two",
        )
    return None


@rule
def format_of_a_whole_model(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.save.format != "safetensors" and recipe.saves != "full":
        return (
            f"save.format {recipe.save.format} and save.what {recipe.saves}: it is the format of a whole model",
            "set save.what: full, or leave save.format out",
        )
    return None


@rule
def something_lies_beside_the_adapter(recipe: Recipe) -> tuple[str, str] | None:
    if recipe.save.beside_adapter and not recipe.tune:
        return f"save.beside_adapter {recipe.save.beside_adapter} and tune is empty", "name a component in tune"
    return None
