"""A run held against an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.statuses import FAILING, UNJUDGED
from harness.report.summary import Counts, group_by_recipe
from harness.result import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.result import Result


@dataclass(frozen=True)
class RecipeChange:
    """`passed/judged` of one recipe, before and after; a dash where there was nothing to judge."""

    recipe: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """The last two name results as "recipe: check"; without a baseline only `vanished` can have entries."""

    recipes: tuple[RecipeChange, ...]
    newly_failing: tuple[str, ...]
    vanished: tuple[str, ...]


def compare(before: Sequence[Result], after: Sequence[Result], missing: Iterable[str]) -> Comparison:
    """Compare two runs. Vanished are those `missing` and what was judged before and is not now."""
    return Comparison(
        recipes=_changes(before, after) if before else (),
        newly_failing=tuple(sorted(_failing(after) - _failing(before))) if before else (),
        vanished=tuple(sorted({*missing, *(_judged(before) - _judged(after))})),
    )


def _changes(before: Sequence[Result], after: Sequence[Result]) -> tuple[RecipeChange, ...]:
    old, new = group_by_recipe(before), group_by_recipe(after)
    return tuple(
        RecipeChange(recipe, _ratio(old.get(recipe, ())), _ratio(new.get(recipe, ())))
        for recipe in sorted({*old, *new})
    )


def _ratio(results: Sequence[Result]) -> str:
    counts = Counts.of(results)
    return f"{counts[Status.PASSED]}/{counts.judged}" if counts.judged else "–"


def _failing(results: Sequence[Result]) -> set[str]:
    return {_name(result) for result in results if result.status in FAILING}


def _judged(results: Sequence[Result]) -> set[str]:
    return {_name(result) for result in results if result.status not in UNJUDGED}


def _name(result: Result) -> str:
    return f"{result.recipe}: {result.check}"
