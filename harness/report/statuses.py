"""How statuses are grouped, ordered and written."""

from __future__ import annotations

from harness.result import Status

FAILING = (Status.FAILED, Status.BLOCKED, Status.FIXED)
UNJUDGED = (Status.NOT_COMPARABLE, Status.NOT_APPLICABLE)

_TOLERATED = (Status.WARNED, Status.KNOWN_FAILURE)
BY_URGENCY = (*FAILING, *_TOLERATED, Status.PASSED, *UNJUDGED)
PASSED_FIRST = (Status.PASSED, *FAILING, *_TOLERATED, *UNJUDGED)

LETTERS = {
    Status.PASSED: "P",
    Status.FAILED: "F",
    Status.BLOCKED: "B",
    Status.FIXED: "X",
    Status.WARNED: "W",
    Status.KNOWN_FAILURE: "K",
    Status.NOT_COMPARABLE: "C",
    Status.NOT_APPLICABLE: "N",
}


def label(status: Status) -> str:
    return status.value.replace("_", " ")


def heading(status: Status) -> str:
    return label(status).upper()


def counted(status: Status, number: int) -> str:
    """`1 failed`, `2 known failures`."""
    plural = "s" if status is Status.KNOWN_FAILURE and number != 1 else ""
    return f"{number} {label(status)}{plural}"
