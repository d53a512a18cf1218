"""Layer 3. From results to a verdict: outcomes, known failures, the baseline of applied checks, the exit status."""

from __future__ import annotations

import datetime
import fnmatch
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from harness.frozen import Frozen
from harness.recipe.suite import refusal_of
from harness.refusal import Refused
from harness.result import Result, Status
from harness.trace.atomic import write_atomically

Outcome = Literal["passed", "failed", "skipped", "xfailed"]
NOT_APPLIED = (Status.NOT_APPLICABLE, Status.BLOCKED, Status.NOT_COMPARABLE)


def outcome(result: Result, of_recipe: Iterable[Result], *, strict: bool = False) -> Outcome:
    """What a result means to a test runner.

    A blocked check fails only if nothing else of its recipe failed: one crash is one failure, and never none.
    """
    if result.status in (Status.FAILED, Status.FIXED):
        return "failed"
    if result.status is Status.WARNED:
        return "failed" if strict else "passed"
    if result.status is Status.KNOWN_FAILURE:
        return "xfailed"
    if result.status is Status.BLOCKED:
        other_failed = any(one.status in (Status.FAILED, Status.FIXED) for one in of_recipe)
        return "skipped" if other_failed else "failed"
    return "passed" if result.status is Status.PASSED else "skipped"


def exit_status(results: Iterable[Result], *, strict: bool = False) -> int:
    """0 if nothing failed and nothing was blocked, else 1."""
    bad = {Status.FAILED, Status.FIXED, Status.BLOCKED} | ({Status.WARNED} if strict else set())
    return int(any(result.status in bad for result in results))


class KnownFailure(Frozen):
    """A failure that is somebody else's bug: which check on which recipes, why, where it is discussed, until when."""

    check: str
    recipe: str
    reason: str
    link: str
    expires: datetime.date
    versions: Mapping[str, str] = {}

    def covers(self, result: Result) -> bool:
        return result.check == self.check and fnmatch.fnmatchcase(result.recipe, self.recipe.replace("[", "[[]"))


def read_known_failures(path: Path) -> tuple[KnownFailure, ...]:
    """Read a known_failures.yaml: a list of entries. Raises Refused, in one line, for one that is broken."""
    if not path.exists():
        return ()
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except yaml.YAMLError as error:
        raise Refused(f"is not YAML: {error}", where=str(path), do="mend the file") from None
    if not isinstance(entries, list):
        raise Refused("is not a list of known failures", where=str(path), do="begin each entry with '- check:'")
    known = []
    for number, entry in enumerate(entries, start=1):
        try:
            known.append(KnownFailure.model_validate(entry))
        except ValidationError as error:
            raise refusal_of(error, f"{path}: entry {number}") from None
    return tuple(known)


def with_known_failures(results: Iterable[Result], known: Iterable[KnownFailure], today: datetime.date) -> list[Result]:
    """The results with known failures marked; an expired entry excuses nothing, and one that passes is `fixed`."""
    return [_marked(result, [entry for entry in known if entry.covers(result)], today) for result in results]


def _marked(result: Result, entries: list[KnownFailure], today: datetime.date) -> Result:
    for entry in entries:
        if entry.expires < today:
            reason = f"the known failure expired on {entry.expires}: {entry.reason} ({entry.link})"
            return replace(result, reason=reason) if result.status is Status.FAILED else result
        if result.status is Status.FAILED:
            return replace(result, status=Status.KNOWN_FAILURE, reason=f"{entry.reason} ({entry.link})")
        if result.status in (Status.PASSED, Status.WARNED):
            return replace(
                result, status=Status.FIXED, reason=f"listed as a known failure, and it passed: {entry.link}"
            )
    return result


def unused(known: Iterable[KnownFailure], results: Iterable[Result]) -> list[KnownFailure]:
    """The entries that match no result: they are dead and must go."""
    results = list(results)
    return [entry for entry in known if not any(entry.covers(result) for result in results)]


@dataclass(frozen=True)
class Baseline:
    """The checks that applied to each recipe when the baseline was written. Fewer is a regression."""

    applied: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, results: Iterable[Result]) -> Baseline:
        applied: dict[str, list[str]] = {}
        for result in results:
            names = applied.setdefault(result.recipe, [])
            if result.status not in NOT_APPLIED:
                names.append(result.check)
        return cls({recipe: tuple(sorted(names)) for recipe, names in sorted(applied.items())})

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Raises Refused for a file that is no baseline."""
        try:
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls({recipe: tuple(names) for recipe, names in value["applied"].items()})
        except OSError as error:
            raise Refused(
                f"cannot be read: {error.strerror}", where=str(path), do="write one with --write-baseline"
            ) from None
        except (ValueError, KeyError, AttributeError, TypeError):
            raise Refused("is not a baseline", where=str(path), do="write one with --write-baseline") from None

    def write(self, path: Path) -> None:
        value = {"applied": {recipe: list(names) for recipe, names in self.applied.items()}}
        write_atomically(path, json.dumps(value, indent=1) + "\n")

    def missing(self, results: Iterable[Result]) -> tuple[str, ...]:
        """`recipe: check` for each that applied before and does not now; a recipe that vanished counts with all."""
        now = Baseline.of(results).applied
        return tuple(
            f"{recipe}: {name}"
            for recipe, names in self.applied.items()
            for name in names
            if name not in now.get(recipe, ())
        )
