"""Whether the settings of a cell can go together: by the rules of recipes, and by the family where it is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from harness.recipe.covering.conflicts import Cell, Refusal, Why
from harness.recipe.covering.matrix import Axes, place_of
from harness.recipe.covering.watched import Reads, Watched
from harness.recipe.model import LATER, Recipe
from harness.recipe.rules import RULES, broken_rule
from harness.refusal import Refused

Laid = Callable[[dict[str, Any]], dict[str, Any]]  # values of a cell over a recipe
Refuse = Callable[[Recipe], None]  # raises Refused for what a family cannot do


def why_not(axes: Axes, laid: Laid, refuse: Refuse | None) -> Why:
    """What refuses a cell of these axes: the first rule that it breaks, or the family, with the axes that were read."""

    def why(cell: Cell) -> Refusal | None:
        try:
            recipe = Recipe.model_validate(laid(place_of(axes, cell).values), context=LATER)
        except ValidationError as error:
            return _of_fields(error, axes)
        if broken := broken_rule(recipe):
            reads = Reads()
            RULES[broken.rule](Watched(recipe, reads))  # type: ignore[arg-type]
            return _refusal(broken.rule, f"{broken.what}; {broken.do}", reads, axes)
        return _of_family(recipe, refuse, axes) if refuse else None

    return why


def _of_fields(error: ValidationError, axes: Axes) -> Refusal:
    """Values that are right one by one and together make no setting: what was looked at is that setting alone."""
    first = error.errors()[0]
    setting = str(first["loc"][0]) if first["loc"] else ""
    reads = Reads({setting} if setting else set(axes))
    return _refusal(f"setting {setting}", f"{setting}: {first['msg']}", reads, axes)


def _of_family(recipe: Recipe, refuse: Refuse, axes: Axes) -> Refusal | None:
    try:
        refuse(recipe)
    except Refused as refused:
        said = f"{refused.what}; {refused.do}"
        return _refusal(f"family {recipe.family}", said, _read_by(refuse, recipe, str(refused)), axes)
    return None


def _read_by(refuse: Refuse, recipe: Recipe, said: str) -> Reads:
    """What a family read before it refused: everything, where it does not do under watch what it does otherwise."""
    reads = Reads()
    try:
        refuse(Watched(recipe, reads))  # type: ignore[arg-type]
    except Refused as refused:
        if str(refused) == said:
            return reads
    except Exception:  # code of families that was not written for this
        pass
    return Reads(set(Recipe.model_fields))


def _refusal(rule: str, said: str, reads: Reads, axes: Axes) -> Refusal:
    read = (number for number, axis in enumerate(axes) if reads.touch(axis))
    return Refusal(frozenset({rule}), frozenset(read), said)
