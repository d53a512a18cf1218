"""Recipes made and saved under one stack, by a process of their own that runs the harness with the stack's layer."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.compat.workplace import Workplace
from harness.families import check_possible, family_of
from harness.golden.runs import PROBES
from harness.own_code import folders
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.running.planner import PlannedRun
from harness.running.runner import Runner
from harness.running.workers import Workers, folder_name
from harness.stacks import Layered
from harness.trace.atomic import write_atomically
from harness.trace.reader import Trace, read_trace

# What a library that lacks something says of itself.
_LACKING = re.compile(
    r"\b(ImportError|ModuleNotFoundError)\b|module '[\w.]+' has no attribute|unexpected keyword argument"
)
_BEFORE_TRAINING = ("start", "build", "data", "tune", "base")
_ASKED, _TOLD = "asked.json", "told.json"


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

    @property
    def told(self) -> dict[str, Any]:
        """As plain data, for the process that asked."""
        base = str(self.base) if self.base else None
        return {"run": str(self.run), "base": base, "lacking": self.lacking, "error": self.error}


def save_all(place: Workplace, stack: Layered, wanted: Sequence[Wanted]) -> list[Saved]:
    """Make each recipe under a stack. A run that fails is told by what is given back."""
    out = place.folder_of(stack.name)
    out.mkdir(parents=True, exist_ok=True)
    (out / _TOLD).unlink(missing_ok=True)
    recipes = [(one, one.recipe.model_dump(mode="json", exclude_defaults=True)) for one in wanted]
    asked = {
        "stack": stack.name,
        "out": str(out),
        "told": str(out / _TOLD),
        "folders": folders(),
        "wanted": [{"recipe_id": one.recipe_id, "recipe": data, "suite": str(one.suite)} for one, data in recipes],
    }
    write_atomically(out / _ASKED, json.dumps(asked) + "\n")
    ended = place.processes.run([sys.executable, "-m", "harness.compat.under", str(out / _ASKED)], stack.environment)
    if not (out / _TOLD).exists():
        lines = ended.stderr.strip().splitlines() or [f"exited with status {ended.returncode}"]
        return [_failed(one, stack.name, out, lines[-1], early=True) for one in wanted]
    told = json.loads((out / _TOLD).read_text(encoding="utf-8"))
    return [_read(one, stack.name, data) for one, data in zip(wanted, told, strict=True)]


def _read(one: Wanted, stack: str, told: dict[str, Any]) -> Saved:
    run, base = Path(told["run"]), Path(told["base"]) if told["base"] else None
    there = not (told["lacking"] or told["error"])
    trace = read_trace(run / "trace") if there else None
    return Saved(one, stack, run, base, trace, told["lacking"], told["error"])


def save_here(stack: str, out: Path, wanted: Sequence[Wanted]) -> Iterator[Saved]:
    """Make each recipe under the libraries of this process."""
    place = Workplace(out, sorted({one.recipe.family for one in wanted}))
    with place.launcher(Layered(stack, {}, None, {}), "make") as makers:
        runner = Runner(Workers(makers, makers), out)
        for one in wanted:
            yield _saved(runner, stack, one)


def _saved(runner: Runner, stack: str, one: Wanted) -> Saved:
    run = runner.out / "runs" / folder_name(one.recipe_id)
    try:
        check_possible(one.recipe)
    except Refused as refused:
        return Saved(one, stack, run, lacking=str(refused))
    planned = PlannedRun(one.recipe, family_of(one.recipe).intent(one.recipe), probes=list(PROBES))
    try:
        trace = runner.make(one.recipe_id, planned, run)
        base = runner.bases.start_of(one.recipe).directory
    except (Refused, RuntimeError) as error:  # no base can be written, say, or the libraries do not even import
        return _failed(one, stack, run, str(error), early=True)
    if trace.outcome.get("code") != 0 or not trace.closed:
        failure = trace.failure or {}
        told = f"{failure['error']}: {failure['message']}" if failure else trace.outcome.get("last_output", "")
        said = told or str(trace.outcome.get("ended", "its end was not seen"))
        return _failed(one, stack, run, f"{said} (in stage {trace.stage})", trace.stage in _BEFORE_TRAINING)
    return Saved(one, stack, run, base, trace)


def _failed(one: Wanted, stack: str, run: Path, said: str, early: bool) -> Saved:
    """Without a saved directory: the stack lacks something that the recipe needs, or it cannot do what it has."""
    text = " ".join(said.split())[:500]
    lacks = early and _LACKING.search(text) is not None
    return Saved(one, stack, run, lacking=text if lacks else "", error="" if lacks else text)
