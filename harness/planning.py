"""Layer 3, making side. Counts of a family or suite on the meta device: components, and what each mode trains."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from harness import stack
from harness.families import Family, family
from harness.families.family import components_of
from harness.recipe import COMPONENTS, Recipe, read_suite
from harness.seams import Seams


def family_plan(name: str, size: str) -> dict[str, Any]:
    """Total, count per component, and the trainable count of each of the family's tuning modes."""
    chosen = family(name)
    modes = {mode: Recipe(family=name, **settings) for mode, settings in chosen.modes().items()}
    return _plan(chosen, size, modes)


def suite_plan(path: Path, size: str) -> list[dict[str, Any]]:
    """One plan per family of a suite, its recipes as modes."""
    by_family: dict[str, dict[str, Recipe]] = {}
    for name, recipe in read_suite(path).recipes.items():
        by_family.setdefault(recipe.family, {})[name] = recipe
    return [_plan(family(name), size, recipes) for name, recipes in by_family.items()]


def _plan(chosen: Family, size: str, modes: dict[str, Recipe]) -> dict[str, Any]:
    stack.quiet()
    model = chosen.meta_model(size)
    counts: Counter[str] = Counter()
    for path, parameter in model.named_parameters():
        counts[components_of(chosen, path)] += parameter.numel()
    return {
        "family": chosen.name,
        "size": size,
        "total": counts.total(),
        "keys": len(model.state_dict()),
        "components": {name: counts[name] for name in COMPONENTS if counts[name]},
        "modes": {mode: _trained(chosen, size, recipe) for mode, recipe in modes.items()},
    }


def _trained(chosen: Family, size: str, recipe: Recipe) -> int:
    """How many parameters train once the real libraries have tuned the model as the recipe says."""
    import torch

    from harness.tuning import tune

    with torch.device("meta"):  # what peft adds would else be made and filled
        model = tune(chosen.meta_model(size), recipe, chosen, Seams())
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
