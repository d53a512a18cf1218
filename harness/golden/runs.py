"""The run of a golden: the recipe as it is, the same probes whatever checks there are, and the reload."""

from __future__ import annotations

import os
from pathlib import Path

from harness.families import family_of
from harness.golden.content import Places
from harness.golden.provenance import PACKAGE
from harness.launch import Job
from harness.recipe import Recipe
from harness.running.planner import PlannedRun
from harness.running.runner import Runner
from harness.running.workers import folder_name
from harness.trace.reader import Trace, read_trace

PROBES = ("generated", "outputs")


def make(runner: Runner, recipe_id: str, recipe: Recipe) -> Trace:
    """Make the run of a recipe. One that fails is told by its trace."""
    planned = PlannedRun(recipe, family_of(recipe).intent(recipe), probes=list(PROBES), reload=True)
    return runner.make(recipe_id, planned, run_folder(runner, recipe_id))


def made_once(runner: Runner, recipe_id: str, recipe: Recipe) -> Trace:
    """The run of a recipe in a session's folder, which begins empty: goldens of several stacks are held against one
    and the same run."""
    trace = run_folder(runner, recipe_id) / "trace"
    return read_trace(trace) if (trace / "outcome.json").exists() else make(runner, recipe_id, recipe)


def wait_for_imports(runner: Runner) -> None:
    """Come back once both parents have imported what their children need, so that no golden's time has that in it."""
    for launcher in (runner.workers.makers, runner.workers.reloaders):
        if launcher.path:
            launcher.run(Job("builtins:dict", {}, os.devnull))


def run_folder(runner: Runner, recipe_id: str) -> Path:
    return runner.out / "runs" / folder_name(recipe_id)


def places_of(runner: Runner, recipe: Recipe, run: Path, suite: Path) -> Places:
    """The places that files of a run name."""
    base = runner.bases.start_of(recipe).directory
    return Places(run, base, runner.bases.root, suite.resolve().parent, PACKAGE)


def broken(trace: Trace) -> str | None:
    """Why a run did not come to its end, or what it saved was not looked at; None where all went well."""
    if trace.outcome.get("code") != 0 or not trace.closed:
        failure = trace.failure or {}
        said = f": {failure['error']}: {failure['message']}" if failure else ""
        return f"{trace.outcome.get('ended', 'its end was not seen')} in stage {trace.stage}{said}"
    if trace.reloaded is None:
        return "what it saved was not loaded again"
    return None
