"""Carries out a plan in worker processes and hands back the evidence. Imports no torch itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.checkpoint.verified import base_flaws
from harness.families import family_of
from harness.launch import Job, last_lines
from harness.places import RELOAD, REQUEST
from harness.recipe import Recipe
from harness.running.bases import Base, Bases
from harness.running.disk import disk_errors, refuse_full_disk
from harness.running.planner import Plan, PlannedRun
from harness.running.ranks import OUTPUT, run_processes, started_by
from harness.running.workers import Workers, folder_name
from harness.trace.atomic import write_atomically
from harness.trace.reader import Trace, read_trace
from harness.trace.schema import FORMAT_VERSION

JOURNAL = "journal.jsonl"
BEFORE = "before"  # the part of a run before its interruption
CHECKPOINT = "checkpoint.pt"


@dataclass
class Evidence:
    """The traces of one recipe's runs, by name, and the seconds they took."""

    traces: dict[str, Trace] = field(default_factory=dict)


class Runner:
    """Makes the runs of plans under one output directory, each with the injected `faults`."""

    def __init__(self, workers: Workers, out: Path, bases: Path | None = None, faults: Sequence[str] = ()) -> None:
        self.workers = workers
        self.out = out
        self.faults = list(faults)
        self.bases = Bases(workers, bases or out / "bases", self._make_stage, faults)

    def carry_out(self, plan: Plan) -> Evidence:
        """Make every run of a plan. A run that fails is evidence too; nothing is raised for it."""
        evidence = Evidence()
        for name, run in plan.runs.items():
            place = folder_name(plan.recipe_id if name == "main" else f"{plan.recipe_id}@{name}")
            evidence.traces[name] = self.make(plan.recipe_id, run, self.out / "runs" / place)
        for name, other in plan.aliases.items():
            evidence.traces[name] = evidence.traces[other]
        return evidence

    def make(self, recipe_id: str, run: PlannedRun, directory: Path) -> Trace:
        """Make one run in a worker, load what it saved in another, and read the trace.

        Nothing is trained from a base that was verified and is broken.
        """
        shutil.rmtree(directory, ignore_errors=True)
        with disk_errors(directory):
            trace = directory / "trace"
            trace.mkdir(parents=True)
            base = self.bases.verified(run.recipe) if run.verify else self.bases.start_of(run.recipe)
            if base.stream and base.stream.exists():
                shutil.copytree(base.stream, trace / "base", copy_function=_linked)
            flaws = list(base_flaws(base.record)) if run.verify else []
            if flaws:
                _note_broken_base(trace, f"the base directory is broken: {flaws[0].expected}: {flaws[0].seen}")
                self._note_outcome(directory, recipe_id, run, {"code": 0, "ended": "not started"})
            else:
                self._train(recipe_id, run, base, directory, self.faults)
            return read_trace(trace)

    def _train(self, recipe_id: str, run: PlannedRun, base: Base, directory: Path, faults: Sequence[str] = ()) -> None:
        argument = {
            "recipe_id": recipe_id,
            "recipe": run.recipe.model_dump(mode="json", exclude_defaults=True),
            "directory": str(directory),
            "base": str(base.directory),
            "parts": base.parts,
            "towers": dict(base.towers),
            "inventory": str(base.inventory) if base.inventory else None,
            "probes": run.probes,
            "reload": run.reload,
            "measured": run.measured,
            "faults": list(faults),
            "process": started_by(self.workers.of(run.recipe).makers, run.recipe),
        }
        job = _job("harness.making.run:make_run", argument, directory / OUTPUT, run.recipe)
        outcome = self._interrupted(job, run.recipe, directory) if run.recipe.interrupted_after else None
        outcome = outcome or run_processes(self.workers.of(run.recipe).makers, job, run.recipe, directory)
        if outcome["code"] != 0:
            refuse_full_disk(directory, outcome["last_output"])
        self._note_outcome(directory, recipe_id, run, outcome)
        self._journal(recipe_id, outcome["ended"])
        if run.reload and outcome["code"] == 0 and (directory / RELOAD / REQUEST).exists():
            self._reload(directory, run.recipe)

    def _interrupted(self, job: Job, recipe: Recipe, directory: Path) -> dict[str, Any] | None:
        """Make the part of a run before its interruption, and have the job go on from there. What it left and how it
        ended is the run's own where it did not come so far; nothing is given back where it did."""
        before, file = directory / BEFORE, directory / CHECKPOINT
        before.mkdir()
        settings: dict[str, Any] = {**job.argument, "directory": str(before), "probes": [], "reload": False}
        begun = replace(job, argument=settings, output=str(before / OUTPUT))
        between = {"file": str(file), "after": recipe.interrupted_after}
        settings["interruption"] = {**between, "goes_on": False}
        job.argument["interruption"] = {**between, "goes_on": True}
        outcome = run_processes(self.workers.of(recipe).makers, begun, recipe, before)
        if outcome["code"] == 0:
            return None
        shutil.copytree(before / "trace", directory / "trace", dirs_exist_ok=True)
        return outcome

    def _make_stage(self, name: str, recipe: Recipe, place: Path) -> None:
        """Make the run of an earlier recipe, for what it saves. Faults are injected into the run itself alone."""
        run = PlannedRun(recipe, family_of(recipe).intent(recipe))
        place.mkdir(parents=True)
        self._train(name, run, self.bases.start_of(recipe), place)

    def _journal(self, recipe_id: str, ended: str) -> None:
        """One line per run made, in the order they ended: what a session really did."""
        with (self.out / JOURNAL).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"recipe": recipe_id, "ended": ended}) + "\n")

    def _reload(self, directory: Path, recipe: Recipe) -> None:
        request = json.loads((directory / RELOAD / REQUEST).read_text(encoding="utf-8"))
        output = directory / "reload-output.txt"
        job = _job("harness.reloading.jobs:reload", request, output, recipe)
        if self.workers.of(recipe).reloaders.run(job).code != 0:
            refuse_full_disk(directory, last_lines(output))

    def _note_outcome(self, directory: Path, recipe_id: str, run: PlannedRun, outcome: dict[str, Any]) -> None:
        """Write how the process ended beside its trace; a process that died before its header gets one here."""
        trace = directory / "trace"
        trace.mkdir(exist_ok=True)
        write_atomically(trace / "outcome.json", json.dumps(outcome) + "\n")
        if not (trace / "header.json").exists():
            header = {
                "format": FORMAT_VERSION,
                "recipe_id": recipe_id,
                "recipe": run.recipe.model_dump(mode="json", exclude_defaults=True),
                "intent": run.intent.model_dump(mode="json"),
            }
            write_atomically(trace / "header.json", json.dumps(header, indent=1, sort_keys=True) + "\n")


def _linked(source: str, target: str) -> None:
    """The same file under another name: every run of a base has what was found in it; a copy where links do not go."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _note_broken_base(trace: Path, message: str) -> None:
    """The stream of a run that was not begun."""
    (trace / "rank-0").mkdir()
    failure = {"kind": "failure", "stage": "base", "error": "BrokenBase", "message": message, "do": "mend the base"}
    write_atomically(trace / "rank-0" / "events.jsonl", json.dumps(failure) + "\n")


def _job(target: str, argument: dict[str, Any], output: Path, recipe: Recipe) -> Job:
    return Job(target, argument, str(output), recipe.limits.seconds, recipe.limits.memory_gb)
