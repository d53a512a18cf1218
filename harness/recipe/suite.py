"""A suite: a YAML file of named recipes with shared defaults and a matrix of settings."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.own_code import let_in
from harness.recipe import fields
from harness.recipe.model import Recipe
from harness.recipe.quick import quick_recipes
from harness.recipe.stages import with_stages
from harness.recipe.start_paths import config_resolved, start_resolved
from harness.recipe.suite_checks import NOTHING_SAID, Judging, Marks, SuiteChecks
from harness.recipe.yaml_file import read_yaml
from harness.refusal import Refused

BESIDE_SUITES = ("known_failures.yaml", "stacks.yaml")  # they lie in folders of suites, and are none
SHOWN = 80  # characters of a value that is refused
SUITE_KEYS = ("family", "description", "defaults", "matrix", "recipes", "checks")


@dataclass(frozen=True)
class Suite:
    """The recipes of one file, by id, in the file's order. An id ends in its place in the matrix: `lora[bf16]`."""

    path: Path
    description: str
    recipes: dict[str, Recipe]
    checks: SuiteChecks = NOTHING_SAID
    marks: dict[str, Marks] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def quick(self) -> tuple[str, ...]:
        """The recipes that the quick gate runs."""
        return quick_recipes(self.recipes, [name for name, marks in self.marks.items() if marks.quick])

    def judging(self, recipe: str) -> Judging:
        """How a recipe is to be judged; its own reasons go before the suite's."""
        return Judging({**self.checks.off, **self.marks[recipe].off}, self.checks.severity)


def read_suite(path: Path) -> Suite:
    """Read and check a suite. Raises Refused, in one line, for anything that cannot work."""
    document = read_yaml(path, "suite")
    if not isinstance(document, dict):
        raise Refused("is not a suite: the top level is not a mapping", where=str(path), do="see harness schema")
    _known_keys(document, SUITE_KEYS, where=str(path))
    description = document.get("description")
    if not isinstance(description, str | None):
        raise Refused("description is not text", where=str(path), do="put it in quotes")
    try:
        checks, marks = _checks(document, path), dict[str, Marks]()
        suite = Suite(path, description or "", _recipes(document, path, marks), checks, marks)
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


def _recipes(document: dict[str, Any], path: Path, marks: dict[str, Marks]) -> dict[str, Recipe]:
    recipes = document.get("recipes")
    if not isinstance(recipes, dict) or not recipes:
        raise Refused("there are no recipes", where=str(path), do="add recipes: {name: {tune: [connector]}}")
    built: dict[str, Recipe] = {}
    for name, settings in recipes.items():
        for recipe_id, merged in _expanded(document, str(name), settings, path):
            if recipe_id in built:
                raise Refused(f"recipe id {recipe_id!r} is given twice", where=str(path), do="rename or remove one")
            marks[recipe_id] = _marks(merged, f"{path}: {recipe_id}")
            built[recipe_id] = _recipe(merged, path, recipe_id)
    return with_stages(built, path)


def _expanded(document: dict[str, Any], name: str, settings: Any, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The recipe's settings over the suite's defaults, once per cell of the matrix.

    A recipe that sets a matrix key itself keeps its own value: that axis does not apply to it.
    """
    own = _mapping(settings, f"recipe {name}", path)
    defaults, matrix = (_mapping(document.get(title), title, path) for title in ("defaults", "matrix"))
    axes = {key: values for key, values in matrix.items() if not _has(own, key)}
    for key, values in axes.items():
        if not isinstance(values, list) or not values:
            raise Refused(f"matrix: {key} is not a list of values", where=str(path), do=f"write {key}: [a, b]")
    family = {"family": document["family"]} if "family" in document else {}
    for cell in itertools.product(*axes.values()):
        merged = _merge(_merge(family, defaults), own)
        for key, value in zip(axes, cell, strict=True):
            merged = _merge(merged, _nested(key, value))
        yield f"{name}[{'-'.join(map(str, cell))}]" if cell else name, merged


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
    if "family" not in settings:
        raise Refused("family is missing", where=where, do="name one; harness list families shows them")
    try:
        recipe = Recipe.model_validate(settings)
    except ValidationError as error:
        raise refusal_of(error, where) from None
    return _paths_resolved(recipe, path, where)


def refusal_of(error: ValidationError, where: str) -> Refused:
    """The first error of a validation, in one line: file, recipe, setting, remedy."""
    first = error.errors()[0]
    setting = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(first["loc"][-1]), _field_names(), n=1)
        do = f"did you mean {close[0]}?" if close else "harness schema lists every setting"
        return Refused(f"unknown setting {setting}", where=where, do=do)
    what, _, do = first["msg"].removeprefix("Value error, ").partition("; ")
    if setting:
        what = f"{setting}: {what}"
        if "input" in first and not isinstance(first["input"], dict):
            what += f" (got {_short(first['input'])})"
    return Refused(what, where=where, do=do or "harness schema lists what is allowed")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


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


def _field_names() -> list[str]:
    models = (
        Recipe,
        fields.Tune,
        fields.Adapter,
        fields.LossScaler,
        fields.Optimizer,
        fields.Data,
        fields.Save,
        fields.EarlierRecipe,
        fields.Composed,
        fields.Limits,
        SuiteChecks,
        Marks,
    )
    return sorted({name for model in models for name in model.model_fields})


def _has(settings: dict[str, Any], dotted: str) -> bool:
    head, _, rest = dotted.partition(".")
    if head not in settings:
        return False
    inside = settings[head]
    return not rest or not isinstance(inside, dict) or _has(inside, rest)


def _nested(dotted: str, value: Any) -> dict[str, Any]:
    head, _, rest = dotted.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`, mapping by mapping; everything else is replaced whole.

    `tune` is replaced whole too: a recipe that names what it trains does not mean the defaults' as well.
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        deep = isinstance(old, dict) and isinstance(value, dict) and key != "tune"
        merged[key] = _merge(old, value) if deep else value  # type: ignore[arg-type]
    return merged
