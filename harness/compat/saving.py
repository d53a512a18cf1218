"""Recipes made and saved under one stack."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.compat.workplace import Workplace
from harness.families import family_of
from harness.golden.runs import PROBES
from harness.planner import PlannedRun
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.runner import Runner
from harness.stacks import Layered
from harness.trace.reader import Trace
from harness.workers import Workers, folder_name

# What a library that lacks something says of itself.
_LACKING = re.compile(
    r"\b(ImportError|ModuleNotFoundError|Refused)\b|module '[\w.]+' has no attribute|unexpected keyword argument"
)
_BEFORE_TRAINING = ("start", "build", "data", "tune", "base")


@dataclass(frozen=True)
class Wanted:
    """A recipe that is to be saved under every stack."""

    recipe_id: str
    recipe: Recipe
    suite: Path


@dataclass(frozen=True)
class Saved:
    """What became of a recipe under the stack that was to save it: its run, or why there is no saved directory."""

    wanted: Wanted
    stack: str
    run: Path
    base: Path | None = None
    trace: Trace | None = None
    lacking: str = ""
    error: str = ""

    @property
    def there(self) -> bool:
        return not (self.lacking or self.error)


def save_all(place: Workplace, stack: Layered, wanted: Sequence[Wanted]) -> list[Saved]:
    """Make each recipe under a stack. A run that fails is told by what is given back."""
    out = place.folder_of(stack.name)
    out.mkdir(parents=True, exist_ok=True)
    with place.launcher(stack, "make") as makers:
        runner = Runner(Workers(makers, makers), out)
        return [_saved(place, runner, stack, one) for one in wanted]


def _saved(place: Workplace, runner: Runner, stack: Layered, one: Wanted) -> Saved:
    run = runner.out / "runs" / folder_name(one.recipe_id)
    planned = PlannedRun(one.recipe, family_of(one.recipe).intent(one.recipe), probes=list(PROBES))
    try:
        trace = runner.make(one.recipe_id, planned, run)
        base = runner.bases.start_of(one.recipe).directory
    except (Refused, RuntimeError) as error:  # no base can be written, say, or the libraries do not even import
        place.refuse_stopped()
        if str(error).startswith("cannot write"):  # a full disk is no matter of this stack
            raise
        return _failed(one, stack, run, str(error), isinstance(error, RuntimeError))
    place.refuse_stopped()
    if trace.outcome.get("code") != 0 or not trace.closed:
        failure = trace.failure or {}
        told = f"{failure['error']}: {failure['message']}" if failure else trace.outcome.get("last_output", "")
        said = told or str(trace.outcome.get("ended", "its end was not seen"))
        return _failed(one, stack, run, f"{said} (in stage {trace.stage})", trace.stage in _BEFORE_TRAINING)
    return Saved(one, stack.name, run, base, trace)


def _failed(one: Wanted, stack: Layered, run: Path, said: str, early: bool) -> Saved:
    """Without a saved directory: the stack lacks something that the recipe needs, or it cannot do what it has."""
    text = " ".join(said.split())[:500]
    lacks = early and _LACKING.search(text) is not None
    return Saved(one, stack.name, run, lacking=text if lacks else "", error="" if lacks else text)
