"""A recipe as YAML that a suite takes, and that gives the same recipe when it is read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from harness.recipe import Recipe


def as_settings(recipe: Recipe) -> dict[str, Any]:
    """What the recipe says that is not the default, as plain data."""
    settings: dict[str, Any] = recipe.model_dump(mode="json", exclude_defaults=True)
    return settings


def as_yaml(recipe: Recipe) -> str:
    """The recipe's settings alone."""
    return yaml.safe_dump(as_settings(recipe), sort_keys=False)


def as_suite(recipes: dict[str, Recipe], description: str = "") -> str:
    """A suite of recipes by name."""
    document: dict[str, Any] = {"description": description} if description else {}
    document["recipes"] = {name: as_settings(recipe) for name, recipe in recipes.items()}
    return yaml.safe_dump(document, sort_keys=False)
