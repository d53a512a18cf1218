"""What a search has found: shown as YAML and as a command, written as a suite, and kept among those that are run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from harness.recipe.yaml_file import read_yaml
from harness.refusal import Refused
from harness.strategies.searching import Found
from harness.strategies.shown import as_suite
from harness.trace.atomic import write_atomically

FILE = "found.yaml"
KEPT = Path("suites") / FILE
DESCRIPTION = "Recipes that a search has drawn and found something wrong with, each the smallest that shows it"


def named(found: Iterable[Found]) -> dict[str, Found]:
    """By a name that says what it is and never another: the same in every search that finds it."""
    return {_name(one): one for one in found}


def _name(one: Found) -> str:
    return f"found-{hashlib.sha256(one.drawn.text.encode()).hexdigest()[:8]}"


def write(found: dict[str, Found], file: Path) -> bool:
    """Write what trains as a suite, each with the fault that was missed in it; whether there is any."""
    recipes = {name: one.drawn.recipe for name, one in found.items() if one.drawn.recipe is not None}
    if recipes:
        faults = {name: one.drawn.fault for name, one in found.items()}
        file.write_text(as_suite(recipes, DESCRIPTION, faults), encoding="utf-8")
    return bool(recipes)


def told(name: str, one: Found, file: Path) -> list[str]:
    """What was found, for people: the property, the recipe, and the command that shows it again."""
    fault = f" with the fault {one.drawn.fault}" if one.drawn.fault else ""
    lines = [f"FAILED  {one.property}{fault}: {one.how}"]
    if one.drawn.recipe is None:
        said = yaml.safe_dump(one.drawn.settings, sort_keys=False)
        return [*lines, *said.rstrip().splitlines(), f"rule    {one.drawn.rule}"]
    lines += as_suite({name: one.drawn.recipe}).rstrip().splitlines()
    again = f"faults {file} --fault {one.drawn.fault}" if one.drawn.fault else f"run {file} --recipe {name}"
    return [*lines, f"again   harness {again}"]


def keep(file: Path, suite: Path = KEPT) -> list[str]:
    """Add the recipes of a file to a suite, and give the names of those that were not in it yet."""
    new, old = _recipes_of(file), _recipes_of(suite) if suite.exists() else {}
    added = [name for name in new if name not in old]
    suite.parent.mkdir(parents=True, exist_ok=True)
    document = {"description": DESCRIPTION, "recipes": {**old, **new}}
    write_atomically(suite, yaml.safe_dump(document, sort_keys=False))
    return added


def _recipes_of(file: Path) -> dict[str, Any]:
    document = read_yaml(file, "suite")
    recipes = document.get("recipes") if isinstance(document, dict) else None
    if not isinstance(recipes, dict):
        raise Refused("there are no recipes", where=str(file), do="name what a search has written")
    return recipes
