"""What a report is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.report.comparison import Comparison, compare
from harness.report.summary import Summary, group_by_recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.compat_table import CompatTable
    from harness.recipe.covering.coverage import Coverage
    from harness.report.drift import Drift
    from harness.report.evidence import Evidence
    from harness.result import Result


@dataclass(frozen=True)
class RunReport:
    """The results of a run and what is needed to read them.

    `seconds` is keyed by recipe, `alignments` (how pictures lay to text before and after), `evidence` (what
    there is to draw of a run) and `drifts` (how far it is from its golden) too; `compat` is the table of stacks;
    `again`, the command that reproduces a result, by recipe and check.
    `missing` names vanished checks as "recipe: check", `unused` known failures that match nothing, `not_judged`
    recipes without all their results. With a `baseline`, the run is compared with it; `compared` says
    that there was one even if it holds no statuses, `only` what of it was compared, `quick` what the quick gate chose,
    `coverage` what was covered of suites that cover a matrix.
    """

    results: tuple[Result, ...]
    title: str = "Fine-tuning regression report"
    seconds: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    alignments: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    drifts: Mapping[str, Drift] = field(default_factory=dict)
    compat: CompatTable | None = None
    again: Mapping[tuple[str, str], str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()
    interrupted: bool = False
    strict: bool = False
    baseline: tuple[Result, ...] = ()
    compared: bool = False
    only: str = ""
    quick: str = ""
    coverage: tuple[Coverage, ...] = ()

    @cached_property
    def recipes(self) -> dict[str, list[Result]]:
        return group_by_recipe(self.results)

    @cached_property
    def comparison(self) -> Comparison | None:
        if not self.baseline and not self.missing and not self.compared:
            return None
        return compare(self.baseline, self.results, self.missing, self.only)

    @cached_property
    def summary(self) -> Summary:
        return Summary.of(
            self.results,
            self.comparison.vanished if self.comparison else (),
            unused=self.unused,
            not_judged=self.not_judged,
            interrupted=self.interrupted,
            quick=self.quick,
            coverage=self.coverage,
        )

    def command_for(self, result: Result) -> str:
        return self.again.get((result.recipe, result.check), "")
