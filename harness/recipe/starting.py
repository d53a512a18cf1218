"""What a recipe starts from, taken apart: one whole directory, and what is laid over it, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.recipe.fields import Composed, EarlierRecipe, Source
from harness.recipe.model import Recipe

PartKind = Literal["projector", "trainables", "partial", "native", "adapter"]


@dataclass(frozen=True)
class PartOf:
    """Something that is laid over a base, and where it comes from."""

    kind: PartKind
    source: Source


def base_and_parts(recipe: Recipe) -> tuple[Source, tuple[PartOf, ...]]:
    """The whole model that a recipe starts from (`fresh`, a path, a recipe that saves one), and what is over it.

    A recipe that saved no whole model is continued over its own base: that base, its parts, and then what it saved.
    """
    start = recipe.start_from
    if isinstance(start, Composed):
        base, parts = _after(start.base) if isinstance(start.base, EarlierRecipe) else (start.base, ())
        named: tuple[tuple[PartKind, Source | None], ...] = (
            ("projector", start.projector),
            ("trainables", start.trainables),
            ("adapter", start.adapter),
        )
        return base, (*parts, *(PartOf(kind, source) for kind, source in named if source is not None))
    return _after(start) if isinstance(start, EarlierRecipe) else (start, ())


def continued_adapter(recipe: Recipe) -> PartOf | None:
    """The adapter that the recipe starts with, which its own continues; None where its own is a new one."""
    return next((part for part in base_and_parts(recipe)[1] if part.kind == "adapter"), None)


def own_towers(recipe: Recipe) -> dict[str, str]:
    """The configuration's entries for towers that are made anew from directories of their own, and what they say."""
    start = recipe.start_from
    earlier = start.base if isinstance(start, Composed) else start
    named = own_towers(saved_by(earlier)) if isinstance(earlier, EarlierRecipe) else {}
    if not isinstance(start, Composed):
        return named
    said = {"mm_vision_tower": start.vision_tower, "mm_vision_tower_aux": start.vision_tower_aux}
    return {**named, **{setting: directory for setting, directory in said.items() if directory}}


def merges(recipe: Recipe) -> bool:
    """Whether what an earlier recipe left is made one with its base before the recipe starts from both."""
    return isinstance(recipe.start_from, EarlierRecipe) and recipe.start_from.merge is not None


def merged_from(recipe: Recipe) -> Recipe | None:
    """The recipe whose adapter or state dict is made one with its base before this one starts."""
    start = recipe.start_from
    earlier = start.base if isinstance(start, Composed) else start
    return saved_by(earlier) if isinstance(earlier, EarlierRecipe) and earlier.merge else None


def saved_by(earlier: EarlierRecipe) -> Recipe:
    """The earlier recipe itself, once a suite has found it."""
    return Recipe.model_validate(earlier.settings)


def _after(earlier: EarlierRecipe) -> tuple[Source, tuple[PartOf, ...]]:
    recipe = saved_by(earlier)
    if recipe.saves == "full" or earlier.merge:
        return earlier, ()
    base, parts = base_and_parts(recipe)
    return base, (*(part for part in parts if part.kind != "adapter"), *_left_by(earlier, recipe))


def _left_by(earlier: EarlierRecipe, recipe: Recipe) -> tuple[PartOf, ...]:
    """What a recipe that saves no whole model leaves for the next."""
    if recipe.saves == "adapter":
        beside = (PartOf("trainables", earlier),) if recipe.save.beside_adapter else ()
        return (*beside, PartOf("adapter", earlier))
    return (PartOf(recipe.saves, earlier),) if recipe.saves in ("projector", "partial", "native") else ()
