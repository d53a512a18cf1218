"""Layer 3. The table fault × check: each fault injected into a recipe where it applies, and which checks saw it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.checks import CHECKS
from harness.faults import FAULTS, Fault
from harness.recipe import Recipe
from harness.result import Result, Status
from harness.session import Session, Sockets

COMPLETION = "run.completed"


@dataclass(frozen=True)
class FaultRow:
    """One injected fault: on which recipe, what caught it, and whether that was as it must be."""

    fault: Fault
    recipe: str
    results: tuple[Result, ...]

    @property
    def caught(self) -> bool:
        """The named check failed with its own kind of finding, and the run itself came to its end."""
        named = next(result for result in self.results if result.check == self.fault.caught_by)
        completed = next(result for result in self.results if result.check == COMPLETION)
        found = named.status is Status.FAILED and any(f.kind == self.fault.finding for f in named.findings)
        return found and (completed.status is Status.PASSED or self.fault.caught_by == COMPLETION)

    @property
    def caught_by(self) -> tuple[str, ...]:
        return tuple(result.check for result in self.results if result.status is Status.FAILED)


def recipe_for(fault: Fault, recipes: Mapping[str, Recipe]) -> str | None:
    """The first recipe that the fault applies to."""
    return next((name for name, recipe in recipes.items() if fault.applies(recipe)), None)


def fault_rows(recipes: Mapping[str, Recipe], sockets: Sockets, out: Path) -> Iterator[FaultRow]:
    """Inject every fault that applies to one of the recipes, and judge the run with every check."""
    for fault in FAULTS.values():
        name = recipe_for(fault, recipes)
        if name is not None:
            yield fault_row(fault, name, recipes[name], sockets, out / "faults" / fault.name, out / "bases")


def fault_row(fault: Fault, name: str, recipe: Recipe, sockets: Sockets, out: Path, bases: Path) -> FaultRow:
    """Inject one fault into one recipe, its run under `out`."""
    recipe = recipe.model_copy(update=dict(fault.changes))
    session = Session(sockets, out, faults=(fault.name,), bases=bases)
    results = session.results(name, recipe, [check.name for check in CHECKS])
    return FaultRow(fault, name, tuple(results.values()))
