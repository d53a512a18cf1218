"""A run held against an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.statuses import FAILING, UNJUDGED
from harness.report.summary import Counts, group_by_recipe
from harness.result import Status
from harness.wording import count, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.result import Result

ENDED_WELL = (Status.PASSED, Status.WARNED)
NO_STATUSES = "The baseline holds no statuses of these recipes; write it again with --write-baseline."


@dataclass(frozen=True)
class RecipeChange:
    """`passed/judged` of one recipe, before and after; a dash where there was nothing to judge."""

    recipe: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """The lists name results as "recipe: check"; without a baseline's statuses only `vanished` can have entries.

    `only` says what of the baseline was compared, if that was not all of it; `total` is the change of all recipes
    together.
    """

    recipes: tuple[RecipeChange, ...]
    newly_failing: tuple[str, ...]
    vanished: tuple[str, ...]
    fixed: tuple[str, ...] = ()
    only: str = ""
    total: RecipeChange | None = None

    @property
    def changed(self) -> tuple[RecipeChange, ...]:
        """The recipes that are not as before."""
        return tuple(one for one in self.recipes if one.before != one.after)

    @property
    def others(self) -> str:
        """How many are as before."""
        number = len(self.recipes) - len(self.changed)
        also = "other " if number and self.changed else ""
        verb = "is" if number == 1 else "are"
        return f"{count(number, f'{also}recipe')} {verb} as before." if number else ""

    @property
    def lists(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Titles and names, in the order in which a report has them."""
        return (
            ("Newly failing", self.newly_failing),
            ("Fixed: failed in the baseline, not in this run", self.fixed),
            ("Vanished: judged in the baseline, not in this run", self.vanished),
        )

    @property
    def verdict(self) -> str:
        """Better or worse, in one sentence."""
        parts = [
            f"{count(len(names), 'check')} {what}"
            for names, what in (
                (self.newly_failing, "newly failing"),
                (self.vanished, "vanished"),
                (self.fixed, "fixed"),
            )
            if names
        ]
        worse = bool(self.newly_failing or self.vanished)
        word = "worse than" if worse else "better than" if parts else "no worse than"
        where = f", of which only {self.only} was compared" if self.only else ""
        return f"This run is {word} the baseline{where}{': ' + joined(parts) if parts else ''}."


def compare(before: Sequence[Result], after: Sequence[Result], missing: Iterable[str], only: str = "") -> Comparison:
    """Compare two runs. Vanished are those `missing` and what was judged before and is not now."""
    return Comparison(
        recipes=_changes(before, after) if before else (),
        newly_failing=tuple(sorted(_names(after, FAILING) - _names(before, FAILING))) if before else (),
        vanished=tuple(sorted({*missing, *(_judged(before) - _judged(after))})),
        fixed=tuple(sorted(_names(before, FAILING) & _names(after, ENDED_WELL))),
        only=only,
        total=RecipeChange("all", _ratio(before), _ratio(after)) if before else None,
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


def _names(results: Sequence[Result], statuses: tuple[Status, ...]) -> set[str]:
    return {_name(result) for result in results if result.status in statuses}


def _judged(results: Sequence[Result]) -> set[str]:
    return {_name(result) for result in results if result.status not in UNJUDGED}


def _name(result: Result) -> str:
    return f"{result.recipe}: {result.check}"
