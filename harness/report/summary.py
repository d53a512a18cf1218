"""The counts of a run and the one sentence that says how it went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report.statuses import FAILING, PASSED_FIRST, UNJUDGED, counted
from harness.result import Status
from harness.wording import count, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.recipe.covering.coverage import Coverage
    from harness.result import Result


@dataclass(frozen=True)
class Counts:
    """How many results have which status."""

    by_status: Mapping[Status, int]

    @classmethod
    def of(cls, results: Iterable[Result]) -> Counts:
        return cls(dict(Counter(result.status for result in results)))

    def __getitem__(self, status: Status) -> int:
        return self.by_status.get(status, 0)

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    @property
    def judged(self) -> int:
        """All but those that did not apply or could not be compared."""
        return self.total - sum(self[status] for status in UNJUDGED)

    @property
    def failing(self) -> int:
        return sum(self[status] for status in FAILING)

    @property
    def occurring(self) -> tuple[Status, ...]:
        return tuple(status for status in PASSED_FIRST if self[status])

    def text(self) -> str:
        """`16 passed, 1 failed, 1 not applicable`."""
        return ", ".join(counted(status, self[status]) for status in self.occurring)


@dataclass(frozen=True)
class SwitchedOff:
    """A check that users do not want made of some recipes, with their own reason."""

    check: str
    reason: str
    recipes: int

    @property
    def text(self) -> str:
        return f"{self.check} of {count(self.recipes, 'recipe')}: {self.reason}"

    @classmethod
    def among(cls, results: Iterable[Result]) -> tuple[SwitchedOff, ...]:
        found = Counter((one.check, one.switched_off) for one in results if one.switched_off)
        return tuple(cls(check, reason, number) for (check, reason), number in sorted(found.items()))


@dataclass(frozen=True)
class Summary:
    """What the results of a run amount to, and what else fails it.

    `missing` names checks that only the baseline holds, `unused` known failures that match nothing, `not_judged`
    recipes without all their results.
    """

    overall: Counts
    recipes: Mapping[str, Counts]
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()
    interrupted: bool = False
    quick: str = ""
    off: tuple[SwitchedOff, ...] = ()
    coverage: tuple[Coverage, ...] = ()

    @classmethod
    def of(
        cls,
        results: Iterable[Result],
        missing: Iterable[str] = (),
        *,
        unused: Iterable[str] = (),
        not_judged: Iterable[str] = (),
        interrupted: bool = False,
        quick: str = "",
        coverage: tuple[Coverage, ...] = (),
    ) -> Summary:
        by_recipe = group_by_recipe(results)
        return cls(
            overall=Counts.of(result for group in by_recipe.values() for result in group),
            recipes={recipe: Counts.of(group) for recipe, group in by_recipe.items()},
            missing=tuple(missing),
            unused=tuple(unused),
            not_judged=tuple(not_judged),
            interrupted=interrupted,
            quick=quick,
            off=SwitchedOff.among(result for group in by_recipe.values() for result in group),
            coverage=coverage,
        )

    @property
    def failed(self) -> bool:
        """Whether anything failed, was blocked, is fixed, missing or unfinished, or nothing was run at all."""
        besides = self.missing or self.unused or self.not_judged or self.interrupted
        return bool(self.overall.failing or besides or not self.overall.total)

    @property
    def verdict(self) -> str:
        which = f"Quick gate, {self.quick}. " if self.quick else ""
        return f"{which}{self._how_far_it_came()}{self._what_happened()}{self._what_else_is_wrong()}."

    def _how_far_it_came(self) -> str:
        recipes = count(len({*self.recipes, *self.not_judged}), "recipe")
        if self.interrupted:
            return f"Interrupted, {len(self.not_judged)} of {recipes} not run. "
        return f"{len(self.not_judged)} of {recipes} could not be judged. " if self.not_judged else ""

    def _what_happened(self) -> str:
        if not self.overall.total:
            return "No check was run"
        if self.overall.failing:
            return self._what_failed()
        if not self.overall.judged:
            return f"No check of {count(len(self.recipes), 'recipe')} was judged{self._besides()}"
        return self._what_passed()

    def _what_failed(self) -> str:
        judged = count(self.overall.judged, "check")
        (number, did), *others = [_what_it_did(status, n) for status in FAILING if (n := self.overall[status])]
        events = [f"{number:,} of {judged} {did}", *(f"{number} {did}" for number, did in others)]
        failing_recipes = sum(1 for counts in self.recipes.values() if counts.failing)
        where = f"{failing_recipes:,} of {count(len(self.recipes), 'recipe')}"
        return f"{joined(events)} in {where}"

    def _what_passed(self) -> str:
        passed, judged = self.overall[Status.PASSED], self.overall.judged
        checks = f"{count(judged, 'check')} of {count(len(self.recipes), 'recipe')}"
        if passed == judged:
            return f"{'All ' if judged > 1 else ''}{checks} passed{self._besides()}"
        return f"{passed:,} of {checks} passed and none failed{self._besides()}"

    def _what_else_is_wrong(self) -> str:
        wrong = []
        if self.missing:
            verb = "is" if len(self.missing) == 1 else "are"
            wrong.append(f"{count(len(self.missing), 'check')} of the baseline {verb} missing")
        if self.unused:
            verb = "matches" if len(self.unused) == 1 else "match"
            wrong.append(f"{count(len(self.unused), 'known failure')} {verb} nothing")
        joint = ", and" if self.overall.failing or not self.overall.judged else ", but"
        return f"{joint} {joined(wrong)}" if wrong else ""

    def _besides(self) -> str:
        rest = Counts({status: n for status, n in self.overall.by_status.items() if status is not Status.PASSED})
        return f" ({rest.text()})" if rest.total else ""


def group_by_recipe(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The results of every recipe, recipes and checks in alphabetical order."""
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda result: (result.recipe, result.check)):
        groups.setdefault(result.recipe, []).append(result)
    return groups


def _what_it_did(status: Status, number: int) -> tuple[int, str]:
    blocked = "was blocked" if number == 1 else "were blocked"
    return number, {Status.BLOCKED: blocked, Status.FIXED: "passed though known to fail"}.get(status, "failed")
