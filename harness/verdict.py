"""Layer 3. From results to a verdict: outcomes, known failures, the baseline of applied checks, the exit status."""

from __future__ import annotations

import datetime
import fnmatch
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import ValidationError, field_validator

from harness.frozen import Frozen
from harness.recipe.suite import refusal_of
from harness.recipe.yaml_file import read_yaml
from harness.refusal import Refused
from harness.result import Result, Status
from harness.trace.atomic import write_atomically

Outcome = Literal["passed", "failed", "skipped", "xfailed"]
KNOWN_FAILURES = "known_failures.yaml"  # lies beside the suites that it is about
NOT_APPLIED = (Status.NOT_APPLICABLE, Status.BLOCKED, Status.NOT_COMPARABLE)
JUDGED = {status.value for status in Status if status not in NOT_APPLIED}
BASELINE_FORMAT = 2
OF_THE_MACHINE = ("throughput_within_budget",)  # told or not as the machine is quiet or not: no baseline can hold it
APPLIED = "applied"  # in the place of a status, where a baseline of the first format knows none


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
    """A failure that is somebody else's bug: which check on which recipes, why, where it is discussed, until when.

    With `versions`, a specifier per distribution, it is expected only where all of them hold.
    """

    check: str
    recipe: str
    reason: str
    link: str
    expires: datetime.date
    versions: Mapping[str, str] = {}

    @field_validator("versions")
    @classmethod
    def _are_specifiers(cls, versions: Mapping[str, str]) -> Mapping[str, str]:
        for name, text in versions.items():
            try:
                SpecifierSet(text)
            except InvalidSpecifier:
                raise ValueError(f"{text!r} is no range of versions of {name}; write one as '>=4.50,<5'") from None
        return versions

    def covers(self, recipe: str, check: str) -> bool:
        return check == self.check and fnmatch.fnmatchcase(recipe, self.recipe.replace("[", "[[]"))

    @property
    def concerns_these_versions(self) -> bool:
        """Whether all distributions it names are installed here, in a version it names."""
        return all(_installed(name, SpecifierSet(text)) for name, text in self.versions.items())


def _installed(distribution: str, versions: SpecifierSet) -> bool:
    try:
        return versions.contains(metadata.version(distribution), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def read_known_failures(path: Path) -> tuple[KnownFailure, ...]:
    """Read a known_failures.yaml: a list of entries. Raises Refused, in one line, for one that is broken."""
    known = []
    for number, entry in enumerate(_entries(path) if path.exists() else [], start=1):
        try:
            known.append(KnownFailure.model_validate(entry))
        except ValidationError as error:
            raise refusal_of(error, f"{path}: entry {number}") from None
    return tuple(known)


def _entries(path: Path) -> list[Any]:
    entries = read_yaml(path, "known failures") or []
    if not isinstance(entries, list):
        raise Refused("is not a list of known failures", where=str(path), do="begin each entry with '- check:'")
    return entries


def with_known_failures(results: Iterable[Result], known: Iterable[KnownFailure], today: datetime.date) -> list[Result]:
    """The results with known failures marked; an expired entry excuses nothing, and one that passes is `fixed`."""
    here = [entry for entry in known if entry.concerns_these_versions]
    return [_marked(one, [entry for entry in here if entry.covers(one.recipe, one.check)], today) for one in results]


def _marked(result: Result, entries: list[KnownFailure], today: datetime.date) -> Result:
    if not entries:
        return result
    last = max(entries, key=lambda entry: entry.expires)  # of several, one that still holds
    expired = f"expired on {last.expires}" if last.expires < today else ""
    if result.status is Status.FAILED and expired:
        return replace(result, reason=f"the known failure {expired}: {last.reason} ({last.link})")
    if result.status is Status.FAILED:
        return replace(result, status=Status.KNOWN_FAILURE, reason=f"{last.reason} ({last.link})")
    if result.status in (Status.PASSED, Status.WARNED):
        listed = f"listed as a known failure{f' that {expired}' if expired else ''}, and it passed: {last.link}"
        return replace(result, status=Status.FIXED, reason=listed)
    return result


def unused(known: Iterable[KnownFailure], judged: Iterable[tuple[str, str]]) -> list[KnownFailure]:
    """The entries that match no recipe and check of those judged: they are dead and must go."""
    pairs = list(judged)
    return [entry for entry in known if not any(entry.covers(*pair) for pair in pairs)]


@dataclass(frozen=True)
class Baseline:
    """The checks that applied to each recipe when the baseline was written, and how they ended. Fewer is a regression.

    `ended` gives each recipe's checks by status; a file of the first format knows only that they applied.
    """

    ended: Mapping[str, Mapping[str, tuple[str, ...]]]

    @property
    def applied(self) -> dict[str, tuple[str, ...]]:
        return {
            recipe: tuple(sorted(name for names in by_status.values() for name in names))
            for recipe, by_status in self.ended.items()
        }

    @property
    def knows_statuses(self) -> bool:
        return not any(APPLIED in by_status for by_status in self.ended.values())

    @property
    def results(self) -> tuple[Result, ...]:
        """The results that it was written from, as far as it holds them: none where it knows no statuses."""
        if not self.knows_statuses:
            return ()
        return tuple(
            Result(recipe, name, Status(status))
            for recipe, by_status in self.ended.items()
            for status, names in by_status.items()
            for name in names
        )

    @classmethod
    def of(cls, results: Iterable[Result]) -> Baseline:
        ended: dict[str, dict[str, list[str]]] = {}
        for result in results:
            by_status = ended.setdefault(result.recipe, {})
            if result.status not in NOT_APPLIED and result.check not in OF_THE_MACHINE:
                by_status.setdefault(result.status.value, []).append(result.check)
        return cls(_in_order(ended))

    def of_recipes(self, recipes: Iterable[str]) -> Baseline:
        """What it holds of some recipes: a run of a selection is compared with no more."""
        wanted = set(recipes)
        return Baseline({recipe: ended for recipe, ended in self.ended.items() if recipe in wanted})

    def of_pairs(self, pairs: Iterable[tuple[str, str]]) -> Baseline:
        """What it holds of some checks, each named with its recipe."""
        wanted = set(pairs)
        recipes = {recipe for recipe, _ in wanted}
        kept = {
            recipe: {s: [name for name in names if (recipe, name) in wanted] for s, names in ended.items()}
            for recipe, ended in self.ended.items()
            if recipe in recipes
        }
        return Baseline(_in_order(kept))

    def without(self, *prefixes: str) -> Baseline:
        """What it holds of other checks than those whose names begin so: a run may have been asked for less."""
        kept = {
            recipe: {s: [name for name in names if not name.startswith(prefixes)] for s, names in ended.items()}
            for recipe, ended in self.ended.items()
        }
        return Baseline({recipe: ended for recipe, ended in _in_order(kept).items() if ended or not self.ended[recipe]})

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Raises Refused for a file that is no baseline."""
        try:
            ended = _ended(json.loads(path.read_bytes()))
        except OSError as error:
            raise Refused(
                f"cannot be read: {error.strerror}", where=str(path), do="write one with --write-baseline"
            ) from None
        except (ValueError, RecursionError):
            ended = None
        if ended is None:
            raise Refused("is not a baseline", where=str(path), do="write one with --write-baseline")
        return cls(_in_order(ended))

    def write(self, path: Path) -> None:
        ended = {recipe: {s: list(names) for s, names in by_status.items()} for recipe, by_status in self.ended.items()}
        value = {"format": BASELINE_FORMAT, "recipes": ended} if self.knows_statuses else {"applied": self.applied}
        try:
            write_atomically(path, json.dumps(value, indent=1) + "\n")
        except OSError as error:
            raise Refused(
                f"cannot be written: {error.strerror}", where=str(path), do="name another file with --write-baseline"
            ) from None

    def missing(self, results: Iterable[Result]) -> tuple[str, ...]:
        """`recipe: check` for each that applied before and does not now; a recipe that vanished counts with all."""
        now = Baseline.of(results).applied
        return tuple(
            f"{recipe}: {name}"
            for recipe, names in self.applied.items()
            for name in names
            if name not in now.get(recipe, ())
        )


def _in_order(ended: Mapping[str, Mapping[str, Iterable[str]]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Recipes, statuses and checks in alphabetical order; no status without a check."""
    return {
        recipe: {status: tuple(sorted(names)) for status, names in sorted(by_status.items()) if names}
        for recipe, by_status in sorted(ended.items())
    }


def _ended(value: Any) -> dict[str, dict[str, list[str]]] | None:
    """The names of checks by recipe and status in what a baseline file holds; None if it holds anything else."""
    if not isinstance(value, dict):
        return None
    if isinstance(applied := value.get("applied"), dict):  # the first format
        ended = {recipe: {APPLIED: names} for recipe, names in applied.items()}
        return ended if all(_are_names(names) for names in applied.values()) else None
    recipes = value.get("recipes")
    if value.get("format") != BASELINE_FORMAT or not isinstance(recipes, dict):
        return None
    if not all(isinstance(by_status, dict) for by_status in recipes.values()):
        return None
    lists = [item for by_status in recipes.values() for item in by_status.items()]
    return recipes if all(status in JUDGED and _are_names(names) for status, names in lists) else None


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
