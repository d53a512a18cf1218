"""Stages: recipes that start from what another recipe of the same suite has saved."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from harness.recipe.fields import EarlierRecipe
from harness.recipe.model import Recipe
from harness.refusal import Refused


def with_stages(recipes: Mapping[str, Recipe], path: Path) -> dict[str, Recipe]:
    """The recipes of a suite, each with the recipe that it starts from found by name. Raises Refused for none."""
    return {name: _found(name, recipes, path, ()) for name in recipes}


def _found(name: str, recipes: Mapping[str, Recipe], path: Path, later: tuple[str, ...]) -> Recipe:
    recipe, where = recipes[name], f"{path}: {name}"
    if not isinstance(recipe.start_from, EarlierRecipe):
        return recipe
    if name in later:
        raise Refused(f"start_from: {' starts from '.join((*later, name))}", where=where, do="begin one of them fresh")
    earlier_name = _name_of(recipe.start_from.recipe, name, recipes, where)
    earlier = _found(earlier_name, recipes, path, (*later, name))
    if earlier.saves != "full":
        what = f"start_from: {earlier_name} leaves no whole model to start from (save.what is {earlier.saves})"
        raise Refused(what, where=where, do="start from a recipe that saves everything")
    if earlier.family != recipe.family:
        what = f"start_from: {earlier_name} is of the family {earlier.family}, this recipe of {recipe.family}"
        raise Refused(what, where=where, do="start from a recipe of the same family")
    start = EarlierRecipe(recipe=earlier_name, settings=earlier)
    return recipe.model_copy(update={"start_from": start})


def _name_of(wanted: str, name: str, recipes: Mapping[str, Recipe], where: str) -> str:
    """The recipe of that name, or the one in the same place of the matrix."""
    _, bracket, cell = name.partition("[")
    for candidate in (wanted, f"{wanted}{bracket}{cell}"):
        if candidate in recipes:
            return candidate
    close = difflib.get_close_matches(wanted, recipes, n=1)
    do = f"did you mean {close[0]}?" if close else "name a recipe of this suite"
    raise Refused(f"start_from: no recipe {wanted!r}", where=where, do=do)
