"""How statuses are grouped, ordered and written."""

from __future__ import annotations

from harness.result import Status
from harness.wording import count

FAILING = (Status.FAILED, Status.BLOCKED, Status.FIXED)
UNJUDGED = (Status.NOT_COMPARABLE, Status.NOT_APPLICABLE)

_TOLERATED = (Status.WARNED, Status.KNOWN_FAILURE)
BY_URGENCY = (*FAILING, *_TOLERATED, Status.PASSED, *UNJUDGED)
PASSED_FIRST = (Status.PASSED, *FAILING, *_TOLERATED, *UNJUDGED)

SYMBOLS = {
    Status.PASSED: "✓",
    Status.FAILED: "✗",
    Status.BLOCKED: "⊘",
    Status.FIXED: "↑",
    Status.WARNED: "!",
    Status.KNOWN_FAILURE: "≈",
    Status.NOT_COMPARABLE: "?",
    Status.NOT_APPLICABLE: "–",
}


def label(status: Status) -> str:
    return status.value.replace("_", " ")


def heading(status: Status) -> str:
    return label(status).upper()


def counted(status: Status, number: int) -> str:
    """`1 failed`, `2 known failures`."""
    return count(number, label(status)) if status is Status.KNOWN_FAILURE else f"{number:,} {label(status)}"
