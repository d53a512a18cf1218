"""The table of rules, and how a recipe is held against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.recipe.model import Recipe


@dataclass(frozen=True)
class Broken:
    """A rule that a recipe breaks."""

    rule: str
    what: str
    do: str


Rule = Callable[["Recipe"], "tuple[str, str] | None"]
RULES: dict[str, Rule] = {}


def rule(check: Rule) -> Rule:
    """Register a rule under its function's name."""
    RULES[check.__name__] = check
    return check


def broken_rule(recipe: Recipe) -> Broken | None:
    """The first rule the recipe breaks, or None."""
    for name, check in RULES.items():
        if found := check(recipe):
            return Broken(name, *found)
    return None
