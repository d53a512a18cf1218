"""Faults in parameters that a family keeps fixed inside of what trains."""

from __future__ import annotations

import re
from typing import Any

from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _fixed(recipe: Recipe) -> tuple[str, ...]:
    from harness.families import family

    return family(recipe.family).intent(recipe).fixed


def _keeps_a_copy(recipe: Recipe) -> bool:
    """Whether peft keeps a copy of something in which a parameter is fixed: in every family that is the connector."""
    kept = recipe.peft is not None and any(tune.component == "connector" for tune in recipe.tune)
    return kept and bool(_fixed(recipe))


def _tunes_itself(recipe: Recipe) -> bool:
    tuned = recipe.peft is None and any(tune.component == "connector" for tune in recipe.tune)
    return tuned and bool(_fixed(recipe))


def _thaw(model: Any, where: str) -> None:
    """Set to train what stands frozen in a place that trains otherwise."""
    within = [(path, p) for path, p in model.named_parameters() if re.search(where, path)]
    next(p for _, p in within if not p.requires_grad).requires_grad_(True)


@fault(
    Seam.AFTER_TUNING,
    caught_by="kept_modules",
    finding="ThawedInCopy",
    size="one parameter",
    applies=_keeps_a_copy,
)
def fixed_parameter_thawed_in_the_copy(model: Any, moment: Moment) -> None:
    """What is fixed in a module trains in the copy that peft keeps of it, as peft leaves it."""
    _thaw(model, r"\.modules_to_save\.")


@fault(
    Seam.AFTER_TUNING,
    caught_by="trainable_set_as_intended",
    finding="WronglyTrainable",
    size="one parameter",
    applies=_tunes_itself,
)
def fixed_parameter_thawed_with_its_module(model: Any, moment: Moment) -> None:
    """What is fixed in a module trains with it, as transformers 5 leaves every parameter that it has read."""
    _thaw(model, r"(?:^|\.)pos_embed$")
