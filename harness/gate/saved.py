"""Saved directories as results: what `harness inspect` looks at, held against what the recipe promises to save."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.checkpoint.inspecting import Inspection, Meant, inspect
from harness.gate.names import OF_SAVED
from harness.intent import Intent
from harness.places import RELOAD, REQUEST, SAVED
from harness.result import Finding, Result, Status

NOTHING_THERE = "the run left no saved directory"
UNREADABLE = "inspect.readable"


class NotInspected(Finding):
    """A saved directory that could not be looked at at all."""


@dataclass(frozen=True)
class SavedBy:
    """What a recipe's run saved, what it was trained from, and what its intent promises of it."""

    recipe_id: str
    directory: Path
    base: Path | None
    meant: Meant

    @property
    def again(self) -> str:
        """The command that looks at the directory as a stranger to its recipe would."""
        base = f" --base {shlex.quote(str(self.base))}" if self.base else ""
        return f"harness inspect {shlex.quote(str(self.directory))}{base}"


def saved_by(recipe_id: str, run: Path) -> SavedBy | None:
    """What the run in a folder saved; None where it was not asked to save anything, or never came to say so."""
    try:
        header = json.loads((run / "trace" / "header.json").read_bytes())
        save = Intent.model_validate(header["intent"]).save
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None
    if save is None or save.what == "nothing":
        return None
    return SavedBy(recipe_id, run / SAVED, _base(run / RELOAD / REQUEST), Meant.by(save))


def _base(request: Path) -> Path | None:
    try:
        named = json.loads(request.read_bytes()).get("base")
    except (OSError, ValueError):
        return None
    return Path(named) if named and Path(named).is_dir() else None


def saved_results(saved: SavedBy) -> Iterator[Result]:
    """One result for each check that this kind of save calls for. No class is built; every value is read."""
    if not saved.directory.is_dir():
        yield Result(saved.recipe_id, UNREADABLE, Status.BLOCKED, NOTHING_THERE)
        return
    try:
        found = inspect(saved.directory, saved.base, saved.meant, hashes=True, build=False)
    except OSError as error:
        where = str(error.filename or saved.directory)
        finding = NotInspected("a directory that can be read", error.strerror or str(error), where)
        yield Result(saved.recipe_id, UNREADABLE, Status.FAILED, findings=(finding,))
        return
    yield from (_result(saved.recipe_id, name, found) for name in OF_SAVED if name in _made(found))


def _made(found: Inspection) -> set[str]:
    return {*found.judged, *found.not_judged, *(name for name, _ in found.findings)}


def _result(recipe_id: str, name: str, found: Inspection) -> Result:
    findings = tuple(finding for about, finding in found.findings if about == name)
    if findings:
        errors = any(finding.severity.value == "error" for finding in findings)
        return Result(recipe_id, name, Status.FAILED if errors else Status.WARNED, findings=findings)
    if name in found.not_judged:
        return Result(recipe_id, name, Status.NOT_APPLICABLE, found.not_judged[name])
    return Result(recipe_id, name, Status.PASSED)
