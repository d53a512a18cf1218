"""A recipe as YAML that a suite takes, and that gives the same recipe when it is read again."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

from harness.recipe.fields import EarlierRecipe
from harness.recipe.starting import saved_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.recipe import Recipe


def as_settings(recipe: Recipe) -> dict[str, Any]:
    """What the recipe says that is not the default, as plain data."""
    settings: dict[str, Any] = recipe.model_dump(mode="json", exclude_defaults=True)
    return settings


def as_yaml(recipe: Recipe) -> str:
    """The recipe's settings alone."""
    return yaml.safe_dump(as_settings(recipe), sort_keys=False)


def as_suite(
    recipes: Mapping[str, Recipe], description: str = "", faults: Mapping[str, str] = MappingProxyType({})
) -> str:
    """A suite of recipes by name; what one of them starts from goes before it, under a name of its own. `faults` are
    those that `harness faults` is to put into some of them."""
    document: dict[str, Any] = {"description": description} if description else {}
    document["recipes"] = {}
    for name, recipe in recipes.items():
        document["recipes"] |= _with_stages(name, recipe)
        if faults.get(name):
            document["recipes"][name]["fault"] = faults[name]
    return yaml.safe_dump(document, sort_keys=False)


def _with_stages(name: str, recipe: Recipe) -> dict[str, Any]:
    """The settings of a recipe, and those of the recipe that it starts from, each by its name in the suite."""
    settings, start = as_settings(recipe), recipe.start_from
    if not isinstance(start, EarlierRecipe):
        return {name: settings}
    before = f"{name}-{start.recipe}"
    merge = {"merge": start.merge} if start.merge else {}
    return {**_with_stages(before, saved_by(start)), name: {**settings, "start_from": {"recipe": before, **merge}}}
