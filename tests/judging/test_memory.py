"""What a budget of memory is held against, at its very edges."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.memory import needed
from harness.result import Status
from tests.judging.memory_specimens import sizes, times, watched
from tests.judging.pace_specimens import both

Evidence = Any
CHECK = "memory_within_budget"


def test_what_is_needed_is_arithmetic_or_what_a_bare_step_took() -> None:
    memory: dict[str, Any] = {
        "kept": {"language": 1000, "vision": 24},
        "bare": {"peak": {"forward": 5, "optimizer": 900}},
        "batch": 0,
    }

    late = needed({**memory, "batch": 7}, {"a": 60, "b": 40})

    assert late == {"forward": 1231, "backward": 1331, "optimizer": 907}
    assert needed(memory, {"a": 60, "b": 40}) == {
        "forward": 200 + 1024,
        "backward": 200 + 100 + 1024,
        "optimizer": 900,
    }


@pytest.mark.parametrize(("of_estimate", "status"), [(1.5, Status.PASSED), (1.2, Status.FAILED)])
def test_the_budget_says_by_how_much(evidence: Evidence, of_estimate: float, status: Status) -> None:
    both(
        watched(times("optimizer", 1.4)),
        lambda e: e.intent.update(budget={"memory": {"of_estimate": of_estimate}}),
    )(evidence)

    assert evidence.judged(CHECK).status is status


@pytest.mark.parametrize(("trains", "status"), [(True, Status.PASSED), (False, Status.FAILED)])
def test_a_tower_may_keep_what_its_own_backward_pass_needs(evidence: Evidence, trains: bool, status: Status) -> None:
    watched(lambda m: m["kept"].update(vision=4))(evidence)
    if trains:
        evidence.intent["trains"].append(r"vision\.")

    assert evidence.judged(CHECK).status is status


def test_states_may_not_be_larger_than_two_moments(evidence: Evidence) -> None:
    watched()(evidence)
    path = next(iter(sizes(evidence)))
    states = evidence.measured["paced"]["memory"]["states"]
    assert evidence.judged(CHECK).status is Status.PASSED
    states[path] += 1
    (finding,) = evidence.judged(CHECK).findings

    assert (finding.kind, finding.seen, finding.where) == ("StateOfFrozen", "1 bytes more", path)


@pytest.mark.parametrize("gone", ["memory", "run", "bare"])
def test_without_a_watched_run_it_is_blocked(evidence: Evidence, gone: str) -> None:
    watched()(evidence)
    measured = evidence.measured["paced"]
    (measured if gone == "memory" else measured["memory"]).pop(gone)

    assert evidence.judged(CHECK).status is Status.BLOCKED
