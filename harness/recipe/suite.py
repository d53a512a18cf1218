"""A suite: a YAML file of named recipes with shared defaults and a matrix of settings."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.own_code import let_in
from harness.recipe.budget_file import BUDGETS, with_measured
from harness.recipe.covering.coverage import Coverage
from harness.recipe.covering.expanding import Covering, Expansion
from harness.recipe.covering.matrix import read_matrix
from harness.recipe.covering.possible import Refuse
from harness.recipe.invalid import refusal_of, with_family
from harness.recipe.layers import merged
from harness.recipe.model import Recipe
from harness.recipe.quick import quick_recipes
from harness.recipe.stages import with_stages
from harness.recipe.start_paths import config_resolved, start_resolved
from harness.recipe.suite_checks import NOTHING_SAID, Judging, Marks, SuiteChecks
from harness.recipe.yaml_file import read_yaml
from harness.refusal import Refused

BESIDE_SUITES = ("known_failures.yaml", "stacks.yaml", BUDGETS)  # they lie in folders of suites, and are none
__all__ = ["BESIDE_SUITES", "Suite", "read_suite", "refusal_of"]
SUITE_KEYS = ("family", "description", "defaults", "matrix", "recipes", "checks")


@dataclass(frozen=True)
class Suite:
    """The recipes of one file, by id, in the file's order. An id ends in its place in the matrix: `lora[bf16]`."""

    path: Path
    description: str
    recipes: dict[str, Recipe]
    checks: SuiteChecks = NOTHING_SAID
    marks: dict[str, Marks] = field(default_factory=dict)
    coverings: tuple[Covering, ...] = ()

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def quick(self) -> tuple[str, ...]:
        """The recipes that the quick gate runs."""
        return quick_recipes(self.recipes, [name for name, marks in self.marks.items() if marks.quick])

    def coverage(self, run: Collection[str]) -> tuple[Coverage, ...]:
        """What these of its recipes cover, for each covering matrix of which any was run."""
        found = (covering.coverage(run) for covering in self.coverings)
        return tuple(one for one in found if one.run)

    def judging(self, recipe: str) -> Judging:
        """How a recipe is to be judged; its own reasons go before the suite's."""
        return Judging({**self.checks.off, **self.marks[recipe].off}, self.checks.severity)


def read_suite(path: Path, refuse: Refuse | None = None) -> Suite:
    """Read and check a suite. Raises Refused, in one line, for anything that cannot work.

    `refuse` says, by raising Refused, what a family cannot do: a covering matrix then leaves that out.
    """
    document = read_yaml(path, "suite")
    if not isinstance(document, dict):
        raise Refused("is not a suite: the top level is not a mapping", where=str(path), do="see harness schema")
    _known_keys(document, SUITE_KEYS, where=str(path))
    description = document.get("description")
    if not isinstance(description, str | None):
        raise Refused("description is not text", where=str(path), do="put it in quotes")
    try:
        checks, marks = _checks(document, path), dict[str, Marks]()
        recipes, coverings = _recipes(document, path, marks, refuse)
        recipes = with_measured(recipes, path)
        suite = Suite(path, description or "", recipes, checks, marks, coverings)
    except RecursionError:
        raise Refused("a mapping holds itself", where=str(path), do="write it out without the alias") from None
    if _names_own_code(suite):
        let_in(path.parent)
    return suite


def _checks(document: dict[str, Any], path: Path) -> SuiteChecks:
    try:
        return SuiteChecks.model_validate(_mapping(document.get("checks"), "checks", path))
    except ValidationError as error:
        raise refusal_of(error, f"{path}: checks") from None


def _marks(settings: dict[str, Any], where: str) -> Marks:
    """Take out of a recipe's settings what is none of its training."""
    taken = {name: settings.pop(name) for name in Marks.model_fields if name in settings}
    try:
        return Marks.model_validate(taken)
    except ValidationError as error:
        raise refusal_of(error, where) from None


def _names_own_code(suite: Suite) -> bool:
    """Whether anything in it is written as module:name: what lies beside the suite may then be imported."""
    in_recipes = (name for recipe in suite.recipes.values() for name in recipe.own_code)
    return any(":" in name for name in (*suite.checks.own, *in_recipes))


def _recipes(
    document: dict[str, Any], path: Path, marks: dict[str, Marks], refuse: Refuse | None
) -> tuple[dict[str, Recipe], tuple[Covering, ...]]:
    recipes = document.get("recipes")
    if not isinstance(recipes, dict) or not recipes:
        raise Refused("there are no recipes", where=str(path), do="add recipes: {name: {tune: [connector]}}")
    built: dict[str, Recipe] = {}
    coverings: list[Covering] = []
    matrix = read_matrix(_mapping(document.get("matrix"), "matrix", path), str(path))
    for name, settings in recipes.items():
        own = _mapping(settings, f"recipe {name}", path)
        expansion = Expansion(str(name), _below(document, path), own, matrix, path, refuse)
        for recipe_id, one in expansion.recipes(coverings):
            if recipe_id in built:
                raise Refused(f"recipe id {recipe_id!r} is given twice", where=str(path), do="rename or remove one")
            marks[recipe_id] = _marks(one, f"{path}: {recipe_id}")
            built[recipe_id] = _recipe(one, path, recipe_id)
    return with_stages(built, path), tuple(coverings)


def _below(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What lies under every recipe of a suite."""
    family = {"family": document["family"]} if "family" in document else {}
    return merged(family, _mapping(document.get("defaults"), "defaults", path))


def _mapping(value: Any, title: str, path: Path) -> dict[str, Any]:
    """The value, whose keys are words; nothing at all is an empty mapping."""
    if value is None:
        return {}
    if isinstance(value, dict) and False in value and "off" not in value:  # YAML reads a bare `off` as a boolean
        value = {"off" if key is False else key: setting for key, setting in value.items()}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Refused(f"{title} is not a mapping of settings", where=str(path), do="write settings as key: value")
    return value


def _recipe(settings: dict[str, Any], path: Path, recipe_id: str) -> Recipe:
    where = f"{path}: {recipe_id}"
    try:
        recipe = Recipe.model_validate(with_family(settings, where))
    except ValidationError as error:
        raise refusal_of(error, where) from None
    return _paths_resolved(recipe, path, where)


def _paths_resolved(recipe: Recipe, path: Path, where: str) -> Recipe:
    """Paths in a suite are relative to the suite's file and must exist."""
    if recipe.data.source != "shipped":
        source = path.parent / recipe.data.source
        if not source.is_file():
            raise Refused(f"data.source: no file {source}", where=where, do="name an existing JSON file, or shipped")
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"source": str(source)})})
    deepspeed = config_resolved(recipe.deepspeed, path, where)
    start = start_resolved(recipe.start_from, path, where)
    return recipe.model_copy(update={"start_from": start, "deepspeed": deepspeed})


def _known_keys(mapping: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in mapping:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            do = f"did you mean {close[0]}?" if close else f"a suite has {', '.join(known)}"
            raise Refused(f"unknown key {key}", where=where, do=do)
