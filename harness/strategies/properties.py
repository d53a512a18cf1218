"""What must hold of every recipe that can be drawn: its training has no finding, and a fault put into it is caught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hypothesis import strategies as st

from harness.checks import CHECKS
from harness.fault_table import fault_row
from harness.faults import FAULTS
from harness.result import Status
from harness.session import Session, Sockets
from harness.strategies.valid import recipes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypothesis.strategies import DrawFn, SearchStrategy

    from harness.recipe import Recipe
    from harness.result import Result

NAME = "drawn"
UNWANTED = (Status.FAILED, Status.WARNED, Status.BLOCKED)


@dataclass(frozen=True)
class Drawn:
    """A recipe, and the fault that is put into its run, if there is to be one."""

    recipe: Recipe
    fault: str = ""


class Property(Protocol):
    """Something that must hold of what is drawn."""

    name: str

    def strategy(self, families: Sequence[str]) -> SearchStrategy[Drawn]:
        """What to draw."""

    def broken_by(self, drawn: Drawn) -> str:
        """How what was drawn breaks it, in one line; nothing where it holds."""


@dataclass
class Silent:
    """A recipe that can work trains, and no check has anything to say of it."""

    sockets: Sockets
    out: Path
    name: str = "trains without a finding"

    def strategy(self, families: Sequence[str]) -> SearchStrategy[Drawn]:
        return recipes(families).map(Drawn)

    def broken_by(self, drawn: Drawn) -> str:
        session = Session(self.sockets, self.out / "runs-of-one", bases=self.out / "bases")
        session.out.mkdir(parents=True, exist_ok=True)
        results = session.results(NAME, drawn.recipe, [check.name for check in CHECKS])
        unwanted = sorted((one for one in results.values() if one.status in UNWANTED), key=_failed_first)
        return _told(unwanted[0]) if unwanted else ""


@dataclass
class Caught:
    """A fault is caught by its check wherever it applies, not only on the recipe that it was written for."""

    sockets: Sockets
    out: Path
    name: str = "a fault is caught"

    def strategy(self, families: Sequence[str]) -> SearchStrategy[Drawn]:
        return _with_a_fault(recipes(families))

    def broken_by(self, drawn: Drawn) -> str:
        if not drawn.fault:
            return ""
        fault = FAULTS[drawn.fault]
        row = fault_row(fault, NAME, drawn.recipe, self.sockets, self.out / "faults-of-one", self.out / "bases")
        if row.caught:
            return ""
        seen = ", ".join(row.caught_by) or "no check"
        return f"{fault.name} ({fault.size}) is to be caught by {fault.caught_by} and was by {seen}"


@st.composite
def _with_a_fault(draw: DrawFn, of: SearchStrategy[Recipe]) -> Drawn:
    """A recipe and one of the faults that fit it; by itself, where none does."""
    recipe = draw(of)
    fitting = [fault.name for fault in FAULTS.values() if fault.fits(recipe)]
    return Drawn(recipe, draw(st.sampled_from(fitting)) if fitting else "")


def _failed_first(result: Result) -> int:
    return UNWANTED.index(result.status)


def _told(result: Result) -> str:
    said = result.findings[0].seen if result.findings else result.reason
    return f"{result.check} {result.status.value}: {said}"
