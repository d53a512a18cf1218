"""Stages: recipes that start from what another recipe of the same suite has saved."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from harness.recipe.fields import Composed, EarlierRecipe
from harness.recipe.model import Recipe
from harness.recipe.starting import base_and_parts, continued_adapter, saved_by
from harness.refusal import Refused

PARTS = ("projector", "trainables", "adapter")


def with_stages(recipes: Mapping[str, Recipe], path: Path) -> dict[str, Recipe]:
    """The recipes of a suite, each with the recipe that it starts from found by name. Raises Refused for none."""
    return {name: _found(name, recipes, path, ()) for name in recipes}


def _found(name: str, recipes: Mapping[str, Recipe], path: Path, later: tuple[str, ...]) -> Recipe:
    recipe, where = recipes[name], f"{path}: {name}"

    def found(source: EarlierRecipe) -> EarlierRecipe:
        if name in later:
            what = f"start_from: {' starts from '.join((*later, name))}"
            raise Refused(what, where=where, do="begin one of them fresh")
        earlier_name = _name_of(source.recipe, name, recipes, where)
        earlier = _found(earlier_name, recipes, path, (*later, name))
        if earlier.saves == "nothing":
            what = f"start_from: {earlier_name} leaves nothing to start from (save.what is nothing)"
            raise Refused(what, where=where, do="start from a recipe that saves")
        if earlier.family != recipe.family:
            what = f"start_from: {earlier_name} is of the family {earlier.family}, this recipe of {recipe.family}"
            raise Refused(what, where=where, do="start from a recipe of the same family")
        if source.merge:
            _can_be_merged(earlier_name, earlier, source.merge, where)
        return EarlierRecipe(recipe=earlier_name, merge=source.merge, settings=earlier)

    start = recipe.start_from
    if isinstance(start, EarlierRecipe):
        recipe = recipe.model_copy(update={"start_from": found(start)})
    elif isinstance(start, Composed):
        sources = {part: getattr(start, part) for part in ("base", *PARTS)}
        known = {part: found(source) for part, source in sources.items() if isinstance(source, EarlierRecipe)}
        for part in set(known) & set(PARTS):
            if known[part].merge:
                raise Refused(f"start_from.{part}: a part is not merged", where=where, do="name its recipe as the base")
            _saves_it(part, known[part], where)
        recipe = recipe.model_copy(update={"start_from": start.model_copy(update=known)})
    _continues(recipe, where)
    return recipe


def _can_be_merged(name: str, earlier: Recipe, merge: str, where: str) -> None:
    """Refuse to merge what is no adapter by itself over one whole base."""
    if earlier.saves == "native" == merge:
        return
    if merge == "native":
        what = f"start_from.merge: {name} leaves no native state dict (save.what is {earlier.saves})"
        raise Refused(what, where=where, do="leave merge out, or start from a recipe that saves natively")
    if earlier.saves != "adapter":
        what = f"start_from.merge: {name} leaves no adapter (save.what is {earlier.saves})"
        raise Refused(what, where=where, do="leave merge out, or start from a recipe with an adapter")
    if earlier.save.beside_adapter or base_and_parts(earlier)[1]:
        what = f"start_from.merge: the adapter of {name} is not all that is laid over its base"
        raise Refused(what, where=where, do="merge the adapter of a recipe that starts from a whole model")


def _saves_it(part: str, earlier: EarlierRecipe, where: str) -> None:
    """Refuse a part of a recipe that leaves no such file."""
    recipe = saved_by(earlier)
    leaves = {
        "projector": recipe.saves == "projector",
        "trainables": recipe.saves == "adapter" and recipe.save.beside_adapter is not None,
        "adapter": recipe.saves == "adapter",
    }
    if not leaves[part]:
        needed = {
            "projector": "save.what: projector",
            "trainables": "an adapter and save.beside_adapter",
            "adapter": "save.what: adapter",
        }
        what = f"start_from.{part}: {earlier.recipe} leaves no such file (save.what is {recipe.saves})"
        raise Refused(what, where=where, do=f"name a recipe with {needed[part]}")


def _continues(recipe: Recipe, where: str) -> None:
    """Refuse an adapter that is left lying, or that goes on as another than it was."""
    adapter = continued_adapter(recipe)
    if adapter is None:
        return
    named = adapter.source.recipe if isinstance(adapter.source, EarlierRecipe) else adapter.source
    if recipe.peft is None:
        what = f"start_from: {named} leaves an adapter, and this recipe has none to continue it with"
        raise Refused(
            what,
            where=where,
            do="give it the same adapter, or merge that one into its base: start_from: {recipe: NAME, merge: adapter}",
        )
    if not isinstance(adapter.source, EarlierRecipe):
        return
    earlier = saved_by(adapter.source)
    for setting, own, other in (
        ("adapter", recipe.peft, earlier.peft),
        ("tune", recipe.tune, earlier.tune),
        ("save.beside_adapter", recipe.save.beside_adapter, earlier.save.beside_adapter),
    ):
        if own != other:
            what = f"start_from: {setting} is another than {named} has, whose adapter this recipe continues"
            raise Refused(what, where=where, do=f"give both the same {setting}, or start from the base")


def _name_of(wanted: str, name: str, recipes: Mapping[str, Recipe], where: str) -> str:
    """The recipe of that name, or the one in the same place of the matrix."""
    _, bracket, cell = name.partition("[")
    for candidate in (wanted, f"{wanted}{bracket}{cell}"):
        if candidate in recipes:
            return candidate
    close = difflib.get_close_matches(wanted, recipes, n=1)
    do = f"did you mean {close[0]}?" if close else "name a recipe of this suite"
    raise Refused(f"start_from: no recipe {wanted!r}", where=where, do=do)
