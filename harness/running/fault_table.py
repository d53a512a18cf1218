"""The table fault × check: each fault injected into a recipe where it applies, and which checks saw it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness.checks import CHECKS
from harness.families import family
from harness.faults import FAULTS, Fault
from harness.recipe import Recipe
from harness.result import Result, Status
from harness.running.session import Session, Sockets
from harness.running.workers import folder_name
from harness.seams import Seam

COMPLETION = "run.completed"
BEFORE_THE_RUN = (Seam.BASE_WRITTEN, Seam.TOWER_WRITTEN, Seam.MERGED)


@dataclass(frozen=True)
class FaultRow:
    """One injected fault: on which recipe, what caught it, and whether that was as it must be."""

    fault: Fault
    recipe: str
    results: tuple[Result, ...]

    @property
    def caught(self) -> bool:
        """The named check failed with its own kind of finding, and the run itself came to its end, if it was begun."""
        named = next(result for result in self.results if result.check == self.fault.caught_by)
        completed = next(result for result in self.results if result.check == COMPLETION)
        found = named.status is Status.FAILED and any(f.kind == self.fault.finding for f in named.findings)
        excused = self.fault.caught_by == COMPLETION or self.fault.seam in BEFORE_THE_RUN
        return found and (completed.status is Status.PASSED or excused)

    @property
    def caught_by(self) -> tuple[str, ...]:
        return tuple(result.check for result in self.results if result.status is Status.FAILED)


def cases_of(fault: Fault, recipes: Mapping[str, Recipe]) -> list[str]:
    """Of each system, the first recipe that the fault applies to."""
    first: dict[str, str] = {}
    for name, recipe in recipes.items():
        if system_of(recipe) not in first and fault.fits(recipe):
            first[system_of(recipe)] = name
    return list(first.values())


def system_of(recipe: Recipe) -> str:
    """What a family is a size or a generation of: families of one class are of one system."""
    kind = type(family(recipe.family))
    return f"{kind.__module__}.{kind.__qualname__}"


def spread(cases: Mapping[str, list[str]], recipes: Mapping[str, Recipe], each: int) -> dict[str, list[str]]:
    """Of each fault's cases at most so many, so that every system is left with about as many faults as the others."""
    used: Counter[str] = Counter()
    chosen: dict[str, list[str]] = {}
    for fault in sorted(cases, key=lambda name: len(cases[name])):
        order = sorted(cases[fault], key=lambda name: used[system_of(recipes[name])])
        chosen[fault] = order[:each]
        used.update(system_of(recipes[name]) for name in chosen[fault])
    return chosen


def fault_rows(
    recipes: Mapping[str, Recipe],
    sockets: Sockets,
    out: Path,
    named: Collection[str] = (),
    marked: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[FaultRow]:
    """Inject every fault, or those that are named, into a recipe of each system that it applies to, and judge the runs
    with every check. `marked` are faults by the recipes that they are put into whatever else."""
    for fault in [FAULTS[name] for name in named] or FAULTS.values():
        first = cases_of(fault, recipes)
        also = [name for name, asked in marked.items() if asked == fault.name and name not in first]
        for name in (*first, *also):
            of = folder_name(recipes[name].family if name in first else name)
            place = out / "faults" / f"{fault.name}.{of}"
            yield fault_row(fault, name, recipes[name], sockets, place, out / "bases")


def fault_row(
    fault: Fault,
    name: str,
    recipe: Recipe,
    sockets: Sockets,
    out: Path,
    bases: Path,
    checks: Sequence[str] | None = None,
) -> FaultRow:
    """Inject one fault into one recipe, its run under `out`; a broken base is one of its own. `checks` are those that
    judge it: all, unless they are named."""
    recipe = recipe.model_copy(update=dict(fault.changes))
    bases = out / "bases" if fault.seam in BEFORE_THE_RUN else bases
    session = Session(sockets, out, faults=(fault.name,), bases=bases)
    results = session.results(name, recipe, [check.name for check in CHECKS] if checks is None else checks)
    return FaultRow(fault, name, tuple(results.values()))
