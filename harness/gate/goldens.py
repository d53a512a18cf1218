"""Goldens as results: one check for each promise of a golden, named `golden.` and the promise."""

from __future__ import annotations

from collections.abc import Iterator

from harness.gate.names import OF_GOLDENS
from harness.golden.drift import ASPECTS, Drift
from harness.golden.verifying import Status as Became
from harness.golden.verifying import Verified
from harness.result import Finding, Result, Status

KEPT = OF_GOLDENS[0]
_SHOWN = 6  # of what changed around a golden, before the rest is counted


class GoldenLost(Finding):
    """A golden that is missing, cannot be read, or that no recipe uses."""


class GoldenDrift(Finding):
    """A run, or the loading of an old checkpoint, that is not as it was pinned."""


def golden_results(found: Verified, golden: str) -> Iterator[Result]:
    """The results of a golden, under the recipe that it is of; `golden` is the folder it lies in."""
    lost = found.status not in (Became.HOLDS, Became.DRIFTED)
    yield _result(found, KEPT, [_lost(found, golden)] if lost else [])
    if found.status is Became.UNUSED:
        return
    drifts = {drift.aspect: drift for drift in found.drifts}
    for aspect in ASPECTS:
        name = f"golden.{aspect}"
        if lost:
            yield Result(found.recipe_id, name, Status.BLOCKED, f"its golden is {found.status.value}")
        elif aspect not in drifts and "run" in drifts and aspect != "loads":
            yield Result(
                found.recipe_id, name, Status.BLOCKED, "the run of today came to no end that could be compared"
            )
        elif aspect not in drifts and (known := [one for one in found.excused if aspect in one.aspects]):
            yield Result(found.recipe_id, name, Status.KNOWN_FAILURE, f"{known[0].reason} ({known[0].link})")
        else:
            yield _result(found, name, [_drift(found, drifts[aspect])] if aspect in drifts else [])


def _result(found: Verified, name: str, findings: list[Finding]) -> Result:
    status = Status.FAILED if findings else Status.PASSED
    return Result(found.recipe_id, name, status, findings=tuple(findings))


def _lost(found: Verified, golden: str) -> Finding:
    return GoldenLost(
        expected="a golden that is as it was pinned, of a recipe that there is",
        seen=f"{found.status.value}: {found.reason}",
        where=golden,
        do="take it from version control, or pin again: harness golden pin",
    )


def _drift(found: Verified, drift: Drift) -> Finding:
    more = f" and in {drift.places - 1} more places" if drift.places > 1 else ""
    how = found.tolerances or "as it was pinned"
    return GoldenDrift(
        expected=f"the {drift.aspect} of {found.recipe_id} as pinned: {how}",
        seen=f"{drift.first}{more}",
        where=golden_place(found),
        cause=": ".join(filter(None, [found.change.word, _changed(found)])),
        do="mend what changed it; where the change is meant, pin again: harness golden pin",
    )


def golden_place(found: Verified) -> str:
    """Where the first of all that drifted is."""
    return f"first of all in the {found.drifts[0].aspect}: {found.drifts[0].first}"


def _changed(found: Verified) -> str:
    changed = [*found.change.environment, *found.change.code]
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return ", ".join(changed[:_SHOWN]) + more
