"""Layer 3. Carries out a plan in worker processes and hands back the evidence. Imports no torch itself."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.families import family
from harness.launch import Ended, Job, Launcher, last_lines
from harness.making import RELOAD_REQUEST
from harness.planner import Plan, PlannedRun
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.trace.atomic import write_atomically
from harness.trace.reader import Trace, read_trace
from harness.trace.schema import FORMAT_VERSION

JOURNAL = "journal.jsonl"
PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*(/[a-z0-9.+-]+(\[[a-z0-9.+-]+\])?)?")
LONGEST_NAME = 100
FULL_DISK = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
LEAST_FREE_BYTES = 2**16  # with less, a process may have failed for lack of room without being able to say so


@dataclass(frozen=True)
class Workers:
    """Who makes runs and who loads what they saved: two processes that have imported different things."""

    makers: Launcher
    reloaders: Launcher


@dataclass
class Evidence:
    """The traces of one recipe's runs, by name, and the seconds they took."""

    traces: dict[str, Trace] = field(default_factory=dict)


class Runner:
    """Makes the runs of plans under one output directory."""

    def __init__(self, workers: Workers, out: Path, bases: Path | None = None) -> None:
        self.workers = workers
        self.out = out
        self.bases = bases or out / "bases"

    def carry_out(self, plan: Plan, faults: Sequence[str] = ()) -> Evidence:
        """Make every run of a plan. A run that fails is evidence too; nothing is raised for it."""
        evidence = Evidence()
        for name, run in plan.runs.items():
            place = folder_name(plan.recipe_id if name == "main" else f"{plan.recipe_id}@{name}")
            evidence.traces[name] = self.make(plan.recipe_id, run, self.out / "runs" / place, faults)
        for name, other in plan.aliases.items():
            evidence.traces[name] = evidence.traces[other]
        return evidence

    def make(self, recipe_id: str, run: PlannedRun, directory: Path, faults: Sequence[str] = ()) -> Trace:
        """Make one run in a worker, load what it saved in another, and read the trace."""
        shutil.rmtree(directory, ignore_errors=True)
        with disk_errors(directory):
            directory.mkdir(parents=True)
            argument = {
                "recipe_id": recipe_id,
                "recipe": run.recipe.model_dump(mode="json", exclude_defaults=True),
                "directory": str(directory),
                "base": str(self.base_of(run.recipe)),
                "probes": run.probes,
                "faults": list(faults),
                "process": self.workers.makers.kind,
            }
            output = directory / "output.txt"
            ended = self.workers.makers.run(_job("harness.making:make_run", argument, output, run.recipe))
            if ended.code != 0:
                refuse_full_disk(directory, last_lines(output))
            self._note_outcome(directory, recipe_id, run, ended, output)
            self._journal(recipe_id, ended)
            if run.reload and ended.code == 0 and (directory / RELOAD_REQUEST).exists():
                self._reload(directory, run.recipe)
            return read_trace(directory / "trace")

    def _journal(self, recipe_id: str, ended: Ended) -> None:
        """One line per run made, in the order they ended: what a session really did."""
        with (self.out / JOURNAL).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"recipe": recipe_id, "ended": ended.description}) + "\n")

    def _reload(self, directory: Path, recipe: Recipe) -> None:
        request = json.loads((directory / RELOAD_REQUEST).read_text(encoding="utf-8"))
        output = directory / "reload-output.txt"
        if self.workers.reloaders.run(_job("harness.reloading:reload", request, output, recipe)).code != 0:
            refuse_full_disk(directory, last_lines(output))

    def base_of(self, recipe: Recipe) -> Path:
        """The directory training starts from; a family's own tiny one is written once per output directory."""
        if recipe.start_from != "fresh":
            return Path(recipe.start_from).resolve()
        directory = self.bases / folder_name(recipe.family)
        with _locked(directory):
            if not directory.exists():
                argument = {"family": recipe.family, "directory": str(directory)}
                output = directory.with_name(f"{directory.name}.output.txt")
                ended = self.workers.makers.run(Job("harness.making:make_base", argument, str(output)))
                if ended.code != 0:
                    raise Refused(
                        f"the base of {recipe.family} could not be written ({ended.description}): {last_lines(output)}",
                        do=f"see {output}",
                    )
        return directory.resolve()

    def _note_outcome(self, directory: Path, recipe_id: str, run: PlannedRun, ended: Ended, output: Path) -> None:
        """Write how the process ended beside its trace; a process that died before its header gets one here."""
        trace = directory / "trace"
        trace.mkdir(exist_ok=True)
        outcome: dict[str, Any] = {"code": ended.code, "ended": ended.description}
        if ended.code != 0:
            outcome["last_output"] = last_lines(output)
        write_atomically(trace / "outcome.json", json.dumps(outcome) + "\n")
        if not (trace / "header.json").exists():
            header = {
                "format": FORMAT_VERSION,
                "recipe_id": recipe_id,
                "recipe": run.recipe.model_dump(mode="json", exclude_defaults=True),
                "intent": run.intent.model_dump(mode="json"),
            }
            write_atomically(trace / "header.json", json.dumps(header, indent=1, sort_keys=True) + "\n")


def _job(target: str, argument: dict[str, Any], output: Path, recipe: Recipe) -> Job:
    return Job(target, argument, str(output), recipe.limits.seconds, recipe.limits.memory_gb)


def worker_modules(families: Sequence[str]) -> tuple[list[str], list[str]]:
    """What the makers' and the reloaders' warm parents import: all that their jobs would import one by one."""
    libraries = ["torch", "transformers", "peft", "safetensors.torch", "accelerate", "PIL.Image", "jinja2"]
    models = [module for name in families for module in family(name).library_modules]
    shared = ["harness.stack", "harness.checkpoint.inventory", "harness.trace.writer"]
    makers = [
        "harness.making",
        "harness.engines.torch_loop",
        "harness.recording",
        "harness.probes",
        "harness.faults",
    ]
    reloaders = ["harness.reloading"]
    return [*libraries, *models, *shared, *makers], [*libraries, *models, *shared, *reloaders]


def folder_name(name: str) -> str:
    """A recipe id or another name as the name of a folder; two different names never share one.

    Names as most suites have them keep all but slash and brackets; any other gets its digest.
    """
    if PLAIN_NAME.fullmatch(name) and len(name) <= LONGEST_NAME:
        return name.translate(str.maketrans("/[", "__", "]"))
    readable = re.sub(r"[^\w.@+-]+", "_", name).strip("_.")[:LONGEST_NAME]
    return f"{readable}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def refuse_full_disk(directory: Path, said: str) -> None:
    """Refuse to go on where a process failed for lack of room: that is no failure of its recipe."""
    no_room = next((reason for reason in FULL_DISK if reason in said), "")
    if not no_room and shutil.disk_usage(directory).free < LEAST_FREE_BYTES:
        no_room = FULL_DISK[0]
    if no_room:
        raise Refused(f"cannot write: {no_room}", where=str(directory), do="free space or choose another --out")


@contextlib.contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """Turn an error of the file system into one line."""
    try:
        yield
    except OSError as error:
        where = error.filename or directory
        raise Refused(
            f"cannot write: {error.strerror}", where=str(where), do="free space or choose another --out"
        ) from None


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time for a directory: parallel workers must not write the same base."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    lock = directory.with_name(f".{directory.name}.lock")
    with lock.open("w") as handle:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
