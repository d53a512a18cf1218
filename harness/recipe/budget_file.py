"""budgets.yaml beside suites: what their recipes came to on each kind of device, written by `harness budget`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from harness.recipe.budgets import Measured
from harness.recipe.model import Recipe
from harness.recipe.yaml_file import read_yaml
from harness.refusal import Refused
from harness.trace.atomic import write_atomically

BUDGETS = "budgets.yaml"
_HEAD = "# What recipes came to, by kind of device: written by `harness budget OUT --write`.\n"
_KNOWN: TypeAdapter[dict[str, tuple[Measured, ...]]] = TypeAdapter(dict[str, tuple[Measured, ...]])
Known = dict[str, tuple[Measured, ...]]


def read_budgets(path: Path) -> Known:
    """What the file holds by recipe, `suite/recipe`; nothing where there is none. Raises Refused for a broken one."""
    if not path.exists():
        return {}
    try:
        return _KNOWN.validate_python(read_yaml(path, "budgets") or {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise Refused(
            f"{place}: {first['msg']}", where=str(path), do="write it anew: harness budget OUT --write"
        ) from None


def with_measured(recipes: Mapping[str, Recipe], suite: Path) -> dict[str, Recipe]:
    """The recipes, those that are held against what was measured with what the file beside their suite has of them."""
    pinned = [name for name, one in recipes.items() if one.budget and one.budget.throughput]
    pinned = [name for name in pinned if recipes[name].budget.throughput.pinned]  # type: ignore[union-attr]
    known = read_budgets(suite.with_name(BUDGETS)) if pinned else {}
    return {
        name: _knowing(one, known.get(f"{suite.stem}/{name}", ())) if name in pinned else one
        for name, one in recipes.items()
    }


def _knowing(recipe: Recipe, measured: tuple[Measured, ...]) -> Recipe:
    assert recipe.budget is not None
    assert recipe.budget.throughput is not None
    throughput = recipe.budget.throughput
    throughput = throughput.model_copy(update={"measured": (*throughput.measured, *measured)})
    return recipe.model_copy(update={"budget": recipe.budget.model_copy(update={"throughput": throughput})})


def write_budgets(path: Path, found: Mapping[str, Measured]) -> None:
    """Put what was measured into the file; what it has of other recipes and of other devices stays."""
    known = read_budgets(path)
    for name, one in found.items():
        known[name] = (*(old for old in known.get(name, ()) if old.device != one.device), one)
    plain = {name: [one.model_dump() for one in known[name]] for name in sorted(known)}
    try:
        write_atomically(path, _HEAD + yaml.safe_dump(plain, sort_keys=False, width=120))
    except OSError as error:
        raise Refused(f"cannot be written: {error.strerror}", where=str(path), do="make it writable") from None
