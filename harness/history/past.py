"""What of a run is kept for later: how long each recipe took, how it ended, and which numbers it came to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.result import Status

if TYPE_CHECKING:
    from harness.result import Result
    from harness.trace.reader import Trace

QUIET = (Status.PASSED, Status.NOT_APPLICABLE)


@dataclass(frozen=True)
class Numbers:
    """What a training came to: digests of its recipe and of the weights it ended with, and the value that each
    micro-batch's backward pass started from. Empty where the run did not come so far."""

    recipe: str = ""
    weights: str = ""
    losses: tuple[float | None, ...] = ()

    @classmethod
    def of(cls, trace: Trace) -> Numbers:
        return cls(
            recipe=_digest(trace.header.get("recipe")),
            weights=_digest([[one.key, one.role, one.last] for one in trace.parameters]) if trace.closed else "",
            losses=tuple(_finite(event.get("value")) for event in trace.of("backward")),
        )


@dataclass(frozen=True)
class PastRecipe:
    """A recipe in a run: how many of its results had which status, each that is not quiet, seconds, and numbers."""

    recipe: str
    statuses: Mapping[str, int]
    loud: tuple[tuple[str, str], ...] = ()  # check and status
    seconds: float | None = None
    numbers: Numbers = field(default_factory=Numbers)


@dataclass(frozen=True)
class PastRun:
    """A run: when it ended, on which commit, by which libraries, what of the suites it ran, and its recipes."""

    ended: str
    commit: str | None
    environment: Mapping[str, str]
    selection: str
    interrupted: bool
    recipes: tuple[PastRecipe, ...]


def past_recipes(
    results: Iterable[Result], seconds: Mapping[str, float], traces: Mapping[str, Trace]
) -> tuple[PastRecipe, ...]:
    """The recipes of a run, by name, from their results and those of their traces that there are."""
    groups: dict[str, list[Result]] = {}
    for one in results:
        groups.setdefault(one.recipe, []).append(one)
    return tuple(
        PastRecipe(
            recipe=recipe,
            statuses={status.value: number for status in Status if (number := _count(group, status))},
            loud=tuple(sorted((one.check, one.status.value) for one in group if one.status not in QUIET)),
            seconds=seconds.get(recipe),
            numbers=Numbers.of(traces[recipe]) if recipe in traces else Numbers(),
        )
        for recipe, group in sorted(groups.items())
    )


def flat_environment(environment: Mapping[str, object]) -> dict[str, str]:
    """An environment as names and texts, versions among them."""
    versions = environment.get("versions")
    flat = {**environment, **(versions if isinstance(versions, dict) else {})}
    return {name: str(value) for name, value in sorted(flat.items()) if name != "versions"}


def _count(group: Iterable[Result], status: Status) -> int:
    return sum(one.status is status for one in group)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _finite(value: object) -> float | None:
    """A number of a trace; those that are not finite are words there, and None here."""
    return float(value) if isinstance(value, int | float) else None
