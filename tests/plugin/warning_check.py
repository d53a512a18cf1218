"""A pytest plugin for sessions under test: one more check, which finds something to warn of in every run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.checks import check
from harness.result import Finding, Severity


class Odd(Finding):
    """Something that is no error."""


@check("nothing odd is seen", source="a test")
def nothing_odd(intent: Any, trace: Any) -> Iterator[Finding]:
    yield Odd(expected="nothing odd", seen="something odd", severity=Severity.WARNING)
