"""What became of a golden, as results of its recipe."""

from __future__ import annotations

import pytest

from harness.gate import OF_GOLDENS
from harness.gate.goldens import KEPT, GoldenDrift, GoldenLost, golden_results
from harness.golden.drift import ASPECTS, Drift
from harness.golden.provenance import Change
from harness.golden.verifying import Status as Became
from harness.golden.verifying import Verified
from harness.result import Result, Status

DRIFT = Drift("loss", 3, "loss differs at step 1: 2.0 and 2.5")
CHANGE = Change(tuple(f"library-{number}: 1 and 2" for number in range(8)), (), ())


def results(status: Became, *drifts: Drift, reason: str = "") -> dict[str, Result]:
    found = Verified("suite/recipe", status, reason, drifts, CHANGE, "bit for bit", "c" * 40)
    made = list(golden_results(found, "golden"))
    assert {one.recipe for one in made} == {"suite/recipe"}
    return {one.check: one for one in made}


def test_one_that_holds_passes_all_its_checks() -> None:
    made = results(Became.HOLDS)
    assert tuple(made) == OF_GOLDENS
    assert {one.status for one in made.values()} == {Status.PASSED}


def test_what_drifted_fails_and_nothing_else_does() -> None:
    made = results(Became.DRIFTED, DRIFT)
    assert tuple(made) == OF_GOLDENS
    failed = [one for one in made.values() if one.status is not Status.PASSED]
    assert [(one.check, one.status) for one in failed] == [("golden.loss", Status.FAILED)]
    (finding,) = made["golden.loss"].findings
    assert isinstance(finding, GoldenDrift)
    assert finding.expected == "the loss of suite/recipe as pinned: bit for bit"
    assert finding.seen == "loss differs at step 1: 2.0 and 2.5 and in 2 more places"
    assert finding.where == "first of all in the loss: loss differs at step 1: 2.0 and 2.5"
    assert finding.cause.startswith("environment changed, code did not: library-0: 1 and 2, ")
    assert finding.cause.endswith("library-5: 1 and 2 and 2 more")


def test_a_run_that_came_to_no_end_fails_once() -> None:
    made = results(Became.DRIFTED, Drift("run", 1, "killed"), Drift("loads", 1, "missing keys"))
    assert (made["golden.run"].status, made["golden.loads"].status) == (Status.FAILED, Status.FAILED)
    rest = {one.status for name, one in made.items() if name not in (KEPT, "golden.run", "golden.loads")}
    assert rest == {Status.BLOCKED}
    assert made["golden.run"].findings[0].seen == "killed"


def test_loading_is_judged_without_a_run() -> None:
    assert results(Became.DRIFTED, Drift("run", 1, "killed"))["golden.loads"].status is Status.PASSED


@pytest.mark.parametrize("status", [Became.MISSING, Became.UNREADABLE])
def test_one_that_is_not_there_fails_once_and_blocks_the_rest(status: Became) -> None:
    made = results(status, reason="golden/x.tar.xz is not there")
    (finding,) = made[KEPT].findings
    assert isinstance(finding, GoldenLost)
    assert finding.seen == f"{status.value}: golden/x.tar.xz is not there"
    assert {made[f"golden.{aspect}"].status for aspect in ASPECTS} == {Status.BLOCKED}
    assert made["golden.loss"].reason == f"its golden is {status.value}"


def test_one_that_nobody_uses_has_no_other_check() -> None:
    made = results(Became.UNUSED, reason="no such recipe")
    assert [(name, one.status) for name, one in made.items()] == [(KEPT, Status.FAILED)]
