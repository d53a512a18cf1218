"""The processes of one run: as many as the recipe asks for, started by whom it says. Imports no torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.launch import Ended, Job, Launcher, last_lines, run_together
from harness.launch.commands import Asked, launcher_output, run_by
from harness.launch.rendezvous import output_of, variables
from harness.recipe import Recipe

MEETING = "meeting"
OUTPUT = "output.txt"


def started_by(launcher: Launcher, recipe: Recipe) -> str:
    """In words, where the processes of a run come from."""
    return launcher.kind if recipe.launch.by == "fork" else f"started by {recipe.launch.by}"


def run_processes(launcher: Launcher, job: Job, recipe: Recipe, directory: Path) -> dict[str, Any]:
    """Run the job once in each process of the recipe, and say how they ended: code, words, what the failed said last.

    Of several the first that failed speaks for all; `ranks` has each.
    """
    if recipe.launch.by != "fork":
        return _by_command(launcher, job, recipe)
    if recipe.processes == 1:
        return _outcome(launcher.run(job), Path(job.output))
    meeting = directory / MEETING
    meeting.unlink(missing_ok=True)
    jobs = [_of_rank(job, number, recipe.processes, meeting) for number in range(recipe.processes)]
    outcomes = [
        _outcome(ended, Path(one.output)) for one, ended in zip(jobs, run_together(launcher, jobs), strict=True)
    ]
    meeting.unlink(missing_ok=True)
    failed = (outcome for outcome in outcomes if outcome["code"] != 0)
    return {**next(failed, outcomes[0]), "ranks": outcomes}


def _by_command(launcher: Launcher, job: Job, recipe: Recipe) -> dict[str, Any]:
    """By a command, whose status is that of the run; who failed first is for the processes themselves to say."""
    asked = Asked(recipe.processes, recipe.launch.port, recipe.launch.hostfile)
    ended = run_by(recipe.launch.by, job, asked, launcher.environment)
    own = Path(job.output)
    return _outcome(ended, own if last_lines(own) else launcher_output(job))


def _of_rank(job: Job, number: int, world: int, meeting: Path) -> Job:
    """The job of one process: its own output, and in its environment which one it is."""
    environment = {**job.environment, **variables(number, world, str(meeting))}
    return replace(job, output=output_of(job.output, number), environment=environment)


def _outcome(ended: Ended, output: Path) -> dict[str, Any]:
    outcome: dict[str, Any] = {"code": ended.code, "ended": ended.description}
    if ended.code != 0:
        outcome["last_output"] = last_lines(output)
    return outcome
