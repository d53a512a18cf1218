"""What must hold of every recipe that can be drawn: its training has no finding, a fault put into it is caught; and
what cannot work is refused."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import yaml
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator

from harness.checks import CHECKS
from harness.faults import FAULTS
from harness.recipe import Recipe
from harness.recipe.rules import broken_rule
from harness.refusal import Refused
from harness.result import Status
from harness.running.fault_table import COMPLETION, fault_row
from harness.running.session import Session, Sockets
from harness.strategies.broken import broken_recipes
from harness.strategies.drawing import Drawing
from harness.strategies.round_trips import recipe_comes_back, trace_comes_back
from harness.strategies.shown import as_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from hypothesis.strategies import DrawFn, SearchStrategy

    from harness.result import Result

NAME = "drawn"
UNWANTED = (Status.FAILED, Status.WARNED, Status.BLOCKED)


@dataclass(frozen=True)
class Drawn:
    """A recipe, and the fault that is put into its run, if there is to be one; or settings that break a rule."""

    recipe: Recipe | None = None
    fault: str = ""
    rule: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The recipe or the settings as YAML, with the fault or the rule."""
        said = as_yaml(self.recipe) if self.recipe else yaml.safe_dump(self.settings, sort_keys=False)
        return f"{self.fault or self.rule}\n{said}"


class Property(Protocol):
    """Something that must hold of what is drawn."""

    name: str

    def strategy(self, drawing: Drawing) -> SearchStrategy[Drawn]:
        """What to draw."""

    def broken_by(self, drawn: Drawn) -> str:
        """How what was drawn breaks it, in one line; nothing where it holds."""


@dataclass
class Silent:
    """A recipe that can work trains, and no check has anything to say of it; recipe and trace come back from disk.

    `alone`: only checks of one run are asked, and no partner run is made.
    """

    sockets: Sockets
    out: Path
    bases: Path
    alone: bool = False
    name: str = "trains without a finding"

    def strategy(self, drawing: Drawing) -> SearchStrategy[Drawn]:
        return drawing.recipes().map(Drawn)

    def broken_by(self, drawn: Drawn) -> str:
        assert drawn.recipe is not None
        session = Session(self.sockets, self.out / "runs-of-one", bases=self.bases)
        session.out.mkdir(parents=True, exist_ok=True)
        checks = [check.name for check in CHECKS if not (self.alone and check.partners)]
        try:
            results = session.results(NAME, drawn.recipe, checks)
            unwanted = sorted((one for one in results.values() if one.status in UNWANTED), key=_failed_first)
            if unwanted:
                return _told(unwanted[0])
            return recipe_comes_back(drawn.recipe) or trace_comes_back(session.out / "runs" / NAME / "trace")
        except Refused as refused:
            return f"could not be made: {refused}"
        finally:
            shutil.rmtree(session.out, ignore_errors=True)


@dataclass
class Caught:
    """A fault is caught by its check wherever it applies, not only on the recipe that it was written for."""

    sockets: Sockets
    out: Path
    bases: Path
    name: str = "a fault is caught"

    def strategy(self, drawing: Drawing) -> SearchStrategy[Drawn]:
        return _with_a_fault(drawing.recipes())

    def broken_by(self, drawn: Drawn) -> str:
        if not drawn.fault or drawn.recipe is None:
            return ""
        fault = FAULTS[drawn.fault]
        place = self.out / "faults-of-one"
        given = (NAME, drawn.recipe, self.sockets, place, self.bases)
        try:
            if fault_row(fault, *given, checks=(fault.caught_by, COMPLETION)).caught:
                return ""
            judged_by_all = fault_row(fault, *given)  # whose evidence a check takes up, too, where it is there
            if judged_by_all.caught:
                return ""
            seen = ", ".join(judged_by_all.caught_by) or "no check"
            return f"{fault.name} ({fault.size}) is to be caught by {fault.caught_by} and was by {seen}"
        except Refused as refused:
            return f"{fault.name} ({fault.size}) left nothing to judge: {refused}"
        finally:
            shutil.rmtree(place, ignore_errors=True)


@dataclass
class Refuses:
    """A recipe that cannot work is refused in one line, by the rule that it breaks, before anything is built."""

    name: str = "is refused by the rule that it breaks"

    def strategy(self, drawing: Drawing) -> SearchStrategy[Drawn]:
        return broken_recipes(drawing.families).map(lambda drawn: Drawn(rule=drawn[0], settings=drawn[1]))

    def broken_by(self, drawn: Drawn) -> str:
        said = _refusals_of(drawn.settings)
        if len(said) != 1 or "\n" in said[0]:
            return f"{drawn.rule}: {len(said)} refusals: {' / '.join(said)}"
        broken = broken_rule(_Unruled.model_validate(drawn.settings))
        if broken is None or broken.rule != drawn.rule or said[0] != f"{broken.what}; {broken.do}":
            return f"{drawn.rule} is broken, and another speaks: {said[0]}"
        return ""


class _Unruled(Recipe):
    """A recipe whose settings are valid one by one; no rule has looked at them together."""

    @model_validator(mode="after")
    def _possible(self) -> _Unruled:
        return self


def _refusals_of(settings: dict[str, Any]) -> list[str]:
    """What is said of settings as they are read."""
    try:
        Recipe.model_validate(settings)
    except ValidationError as error:
        return [one["msg"].removeprefix("Value error, ") for one in error.errors()]
    return []


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
