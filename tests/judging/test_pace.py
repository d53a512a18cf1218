"""What is said of measured times: never more than the noise allows, and a slowdown of the stated size is seen."""

from __future__ import annotations

import random
from math import comb
from typing import Any

import pytest

from harness.checks.order_statistics import ALARM, Bounds, bounds, outliers
from harness.checks.paced import steps_that_differ
from harness.result import Status
from tests.judging.pace_specimens import DEVICE, HERE, asks, both, timed

Evidence = Any
CHECK = "throughput_within_budget"
TRIALS = 4000


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        pytest.param(both(asks(0.8, used=HERE, device="cuda: another"), timed()), "cuda: another", id="other-device"),
        pytest.param(both(asks(0.8, pinned=True), timed()), "no budget was measured on", id="never-measured"),
        pytest.param(both(asks(1.0), timed()), "too noisy to tell", id="at-the-floor"),
        pytest.param(
            both(asks(0.8), timed(1.0, noise=(0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 3))),
            "too noisy to tell",
            id="noise",
        ),
        pytest.param(both(asks(0.5, used=1.3 * HERE), timed()), "too noisy to tell", id="at-what-was-measured"),
    ],
)
def test_what_cannot_be_told_never_passes(evidence: Evidence, alter: Any, reason: str) -> None:
    alter(evidence)
    result = evidence.judged(CHECK)

    assert result.status is Status.NOT_COMPARABLE
    assert reason in result.reason


def test_a_slow_step_fails_on_any_device(evidence: Evidence) -> None:
    """The bare loop was timed beside it: that there is no budget of this device does not excuse it."""
    both(asks(0.8, used=HERE, device="cuda: another"), timed(2.0))(evidence)

    assert evidence.judged(CHECK).status is Status.FAILED


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda e: e.measured.clear(), "nothing was timed", id="nothing"),
        pytest.param(lambda e: e.partners["paced"].pop(), "nothing was timed", id="no-operations"),
        pytest.param(
            lambda e: e.measured["paced"]["pace"]["run"].update(seconds=[1.0] * 5), "5 windows were", id="cut-short"
        ),
        pytest.param(lambda e: e.partners["paced"].pop(0), "did not complete", id="not-ended"),
    ],
)
def test_without_measurements_it_is_blocked(evidence: Evidence, spoil: Any, reason: str) -> None:
    both(asks(), timed())(evidence)
    spoil(evidence)
    result = evidence.judged(CHECK)

    assert result.status is Status.BLOCKED
    assert reason in result.reason


def test_the_finding_says_under_which_torch_it_was_measured(evidence: Evidence) -> None:
    both(asks(0.5, used=2 * HERE), timed())(evidence)
    (finding,) = evidence.judged(CHECK).findings

    assert "under torch 2.12.0, and this is 2.13.0" in finding.cause
    assert DEVICE in finding.where


@pytest.mark.parametrize(("number", "found"), [(6, None), (7, 0), (9, 0), (11, 1), (12, 1), (15, 2)])
def test_how_many_outliers_a_bound_leaves_out(number: int, found: int | None) -> None:
    assert outliers(number, ALARM) == found
    if found is not None:  # one more would be wrong too often
        wrong = [sum(comb(number, k) for k in range(found + more + 1)) / 2**number for more in (0, 1)]
        assert wrong[0] <= ALARM < wrong[1]


def test_too_few_measurements_bound_nothing() -> None:
    with pytest.raises(ValueError, match="5 measurements bound no median"):
        bounds([1.0] * 5)


def test_a_quotient_is_bounded_by_the_farthest() -> None:
    assert Bounds(1, 2, 3).over(Bounds(4, 5, 6)) == Bounds(1 / 6, 2 / 5, 3 / 4)


def noisy(draw: random.Random, kind: str, number: int) -> list[float]:
    """Times around a median of one: even, in two humps, or such that one in four takes up to five times as long."""
    if kind == "even":
        return [draw.uniform(0.8, 1.2) for _ in range(number)]
    if kind == "normal":
        return [max(draw.gauss(1, 0.2), 0.01) for _ in range(number)]
    return [1.0 + (1 if draw.random() < 0.5 else -1) * draw.random() ** 4 * (0.3 if draw.random() < 0.7 else 0.9)
            for _ in range(number)]  # fmt: skip


@pytest.mark.parametrize("kind", ["even", "normal", "long-tails"])
@pytest.mark.parametrize("number", [9, 12, 15])
def test_false_alarms_are_as_rare_as_stated(kind: str, number: int) -> None:
    """At the very edge of a budget, where they are the most frequent."""
    draw = random.Random(f"{kind} {number}")
    found = [bounds(noisy(draw, kind, number)) for _ in range(TRIALS)]

    margin = 3 * (ALARM / TRIALS) ** 0.5
    assert sum(one.high < 1 for one in found) / TRIALS <= ALARM + margin
    assert sum(one.low > 1 for one in found) / TRIALS <= ALARM + margin


@pytest.mark.parametrize(("slowdown", "at_least"), [(1.0, 0.0), (1.5, 0.99), (2.0, 1.0)])
def test_a_slowdown_of_half_a_step_is_caught(evidence: Evidence, slowdown: float, at_least: float) -> None:
    """With times that spread by a tenth and a floor of four fifths, half as long again is seen."""
    draw, caught = random.Random(slowdown), 0
    for _ in range(100):
        noise = tuple(draw.gauss(1, 0.03) for _ in range(12))
        both(asks(0.8), timed(slowdown, noise=noise))(evidence)
        caught += evidence.judged(CHECK).status is Status.FAILED
    assert caught >= 100 * at_least
    assert slowdown > 1 or caught == 0


@pytest.mark.parametrize(
    ("window", "of_a_step", "kinds", "differ"),
    [(10, 1, 1, 2), (10, 1, 3, 5), (10, 2, 3, 2), (10, 1, 7, 10), (11, 1, 1, 11), (12, 4, 30, 12)],
)
def test_each_window_has_the_same_steps_and_every_kind_of_sample(window, of_a_step, kinds, differ) -> None:
    assert steps_that_differ(window, of_a_step, kinds) == differ
    assert window % differ == 0
