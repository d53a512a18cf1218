"""A check of somebody else's, beside a suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.checks import check
from harness.checks.needs import Steps
from harness.result import Finding


class TooDear(Finding):
    """A run that took more steps than its owner pays for."""


@check("no run takes more than two steps", source="our budget", needs=[Steps(1)])
def within_budget(intent: Any, trace: Any) -> Iterator[Finding]:
    if len(trace.steps) > 2:
        yield TooDear(expected="2 steps", seen=f"{len(trace.steps)} steps")


def no_check() -> None:
    """Nobody put @check above it."""
