"""Turns the needs of the selected checks into runs, partner runs and probes, each made once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from harness.checks import Check
from harness.checks.needs import Partner
from harness.families import check_possible, family_of
from harness.families.family import reads_pictures
from harness.intent import Intent
from harness.recipe import Recipe
from harness.recipe.starting import merges
from harness.refusal import Refused

MAIN = "main"
ALIGNMENT = "alignment"  # asked for by no check: what a fusion has come to is told, and nothing is promised of it


@dataclass
class PlannedRun:
    """One training run: the recipe as it will be made, the probes on it, whether the base is verified before, whether
    what it saves is loaded again, and whether it is timed and its memory watched."""

    recipe: Recipe
    intent: Intent
    probes: list[str] = field(default_factory=list)
    reload: bool = False
    verify: bool = False
    measured: bool = False


@dataclass
class Plan:
    """All runs of one recipe: the recipe's own under `main`, and partner runs by name. Equal recipes share a run."""

    recipe_id: str
    runs: dict[str, PlannedRun]
    aliases: dict[str, str] = field(default_factory=dict)


def plan(recipe_id: str, recipe: Recipe, checks: Iterable[Check]) -> Plan:
    """The least that must be done so that every selected check that applies can be judged."""
    check_possible(recipe)
    intent = family_of(recipe).intent(recipe)
    wanted = [check for check in checks if not any(need.refusal(intent) for need in check.needs)]
    planned = Plan(recipe_id, {MAIN: PlannedRun(recipe, intent)})
    main = planned.runs[MAIN]
    for check in wanted:
        main.probes.extend(name for name in check.probes if name not in main.probes)
        main.reload = main.reload or (check.reload and intent.save.what != "nothing")
        main.verify = main.verify or check.base
        for partner in check.partners:
            _add_partner(planned, partner, _changed(recipe, partner))
    if merges(recipe) and reads_pictures(family_of(recipe)):
        main.probes.append(ALIGNMENT)
    main.probes.sort()
    return planned


def _add_partner(planned: Plan, partner: Partner, recipe: Recipe) -> None:
    """A run for the partner, or an alias of a run that is already planned with the same recipe."""
    name = partner.name
    known = planned.runs.get(planned.aliases.get(name, name))
    if known is not None and (name == MAIN or known.recipe != recipe):
        raise Refused(
            f"a check's partner run {name!r} of {planned.recipe_id} has the name of another run",
            do="rename the partner in one of the checks",
        )
    for other, run in planned.runs.items():
        if other != MAIN and run.recipe == recipe and run.measured == partner.measured:
            planned.aliases[name] = other
            return
    planned.runs[name] = PlannedRun(recipe, family_of(recipe).intent(recipe), measured=partner.measured)


def _changed(recipe: Recipe, partner: Partner) -> Recipe:
    try:
        return with_changes(recipe, partner.changes_of(recipe))
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Refused(
            f"the run {partner.name!r} beside this recipe's own cannot be made: {said}",
            do="change the recipe so that both can be, or switch the check off that asks for it",
        ) from None


def with_changes(recipe: Recipe, changes: Any) -> Recipe:
    """The recipe with some settings changed, nested ones by dotted name. Raises if the result cannot work."""
    settings = json.loads(recipe.model_dump_json(exclude_defaults=True))
    for dotted, value in dict(changes).items():
        if dotted == "save" and recipe.save.beside_adapter:
            continue  # what is saved beside an adapter trains in place: with nothing saved, a copy of it would
        target = settings
        *outer, last = dotted.split(".")
        for name in outer:
            target = target.setdefault(name, {})
        target[last] = value
    if "steps" in changes:
        _plan_ranks_anew(settings)
    return Recipe.model_validate(settings)


def _plan_ranks_anew(settings: dict[str, Any]) -> None:
    """AdaLoRA plans its ranks over all steps. Over other steps it has another plan, and three are the least: one may be
    skipped, and what matters must have been seen at another before ranks are given away."""
    adapter = settings.get("adapter") or {}
    if adapter.get("method") == "adalora":
        settings["steps"] = steps = max(settings["steps"], 3)
        adapter["options"] = {**adapter.get("options", {}), "tinit": 0, "tfinal": 1, "total_step": steps}
