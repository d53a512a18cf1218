"""The quick gate's recipes: those that a suite marks, or the first of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.recipe.fields import EarlierRecipe
from harness.recipe.model import Recipe


def quick_recipes(recipes: Mapping[str, Recipe], marked: Iterable[str]) -> tuple[str, ...]:
    """The recipes marked `quick: true`, in the suite's order; where none is, the first of each kind."""
    chosen = set(marked)
    if chosen:
        return tuple(name for name in recipes if name in chosen)
    first: dict[tuple[object, ...], str] = {}
    for name, recipe in recipes.items():
        first.setdefault(_kind(recipe), name)
    return tuple(first.values())


def _kind(recipe: Recipe) -> tuple[object, ...]:
    """What decides which checks apply, and in which precision: recipes alike in this differ in what trains."""
    return (
        recipe.family,
        recipe.size,
        recipe.engine,
        recipe.precision,
        recipe.peft is not None and (recipe.peft.method == "lora" or "another method"),
        recipe.saves,
        bool(recipe.add_tokens),
        isinstance(recipe.start_from, EarlierRecipe),
    )
