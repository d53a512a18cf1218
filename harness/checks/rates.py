"""Learning rates, step by step and component by component, as they were asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Parameters, Steps
from harness.checks.optimizer_groups import places_of
from harness.checks.registry import check
from harness.checks.steps_needs import Scheduled, SeveralRates
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent, Optimization
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace

# A trace holds rates with nine digits: at worst half a unit of the ninth, of a rate that begins with a one.
NINE_DIGITS = 0.5 * 10.0**-8


class WrongRate(Finding):
    """Parameters that a step moved at another rate than asked."""


class OutOfProportion(Finding):
    """Parameters that a step moved at another share of their rate than others."""


@dataclass(frozen=True)
class _Off:
    """One parameter at one step, with the rate it should have had and the one it had."""

    parameter: Parameter
    step: int
    effective: int
    expected: float
    seen: float


@dataclass(frozen=True)
class _Move:
    """One parameter at one step: its rate there, and its full one."""

    parameter: Parameter
    seen: float
    full: float

    @property
    def share(self) -> float:
        return self.seen / self.full


@check(
    "every parameter moves at the rate asked for its component, at every step of the schedule",
    source="deepspeed #7969: the second group's first step at full rate; minimind: a schedule that began at 1.1 times",
    needs=[Parameters, Steps(1), Scheduled],
)
def learning_rates_as_declared(intent: Intent, trace: Trace) -> Iterator[Finding]:
    asked, steps = intent.optimization, intent.first_step + (intent.steps or len(trace.steps))
    if asked is None:  # the needs have refused
        return
    wrong: dict[str, list[_Off]] = {}
    for off in off_schedule(asked, steps, trace, intent.effective_before):
        wrong.setdefault(off.parameter.component, []).append(off)
    for component, found in wrong.items():
        first = found[0]
        others = len({off.step for off in found}) - 1
        yield WrongRate(
            expected=f"{component}: a rate of {first.expected:.6g} at step {first.step}",
            seen=f"{first.seen:.6g}" + (f", and off at {count(others, 'more step')}" if others else ""),
            where=listed(dict.fromkeys(off.parameter.key for off in found)),
            cause=_cause(asked, steps, first),
        )


@check(
    "at every step all parameters move at the same share of their rates: a schedule is one for all groups",
    source="deepspeed #7969: WarmupCosineLR began with the first group alone; #8171: WarmupLR gave all groups its rate",
    needs=[Parameters, Steps(1), SeveralRates],
)
def learning_rates_in_proportion(intent: Intent, trace: Trace) -> Iterator[Finding]:
    if intent.optimization is None:  # the needs have refused
        return
    wrong = [(step, moved) for step, moved in _moves(intent.optimization, trace) if _apart(moved)]
    for step, moved in wrong[:1]:
        first, off = moved[0], _apart(moved)
        others = len({other for other, _ in wrong}) - 1
        yield OutOfProportion(
            expected=f"{first.share:.6g} of its rate at step {step}, as {first.parameter.key} has",
            seen=f"{off[0].share:.6g} of it" + (f", and off at {count(others, 'more step')}" if others else ""),
            where=listed(dict.fromkeys(one.parameter.key for one in off)),
            cause="the schedule sets some of the optimizer's groups only, or gives all of them the rate of the first",
        )


def full_rate(asked: Optimization, component: str, key: str) -> float:
    """The rate of a component, or of a key in it, of which a schedule takes its share."""
    full = {str(name): rate for name, rate in asked.component_rates.items()}.get(component, asked.learning_rate)
    return full * next((factor for name, factor in asked.rate_factors.items() if re.search(name, key)), 1.0)


def expected_rate(asked: Optimization, component: str, effective: int, steps: int, key: str) -> float:
    """The rate of a component, or of a key in it, after so many effective steps, of a run of `steps`."""
    full = full_rate(asked, component, key)
    if effective < asked.warmup_steps and asked.warmup_from_zero:
        return full * effective / asked.warmup_steps
    if effective < asked.warmup_steps:
        return full * (effective + 1) / (asked.warmup_steps + 1)
    remaining = steps - effective
    after_warmup = max(1, steps - asked.warmup_steps)
    if asked.schedule == "linear":
        return full * (asked.floor + (1 - asked.floor) * max(0, remaining) / after_warmup)
    if asked.schedule == "cosine":
        fallen = (1 - math.cos(math.pi * min(after_warmup, max(0, remaining)) / after_warmup)) / 2
        return full * (asked.floor + (1 - asked.floor) * fallen)
    return full


def off_schedule(asked: Optimization, steps: int, trace: Trace, before: int = 0) -> Iterator[_Off]:
    """What moved at another rate than asked. A step that was skipped leaves the schedule where it is."""
    places = places_of(trace)
    effective: dict[str, int] = {}
    for event in trace.steps:
        done = effective.get(event["optimizer"], before)
        for parameter in trace.parameters:
            for optimizer, group in places.get(parameter.index, ()):
                if optimizer != event["optimizer"] or group >= len(event["lr"]):
                    continue
                expected = expected_rate(asked, parameter.component, done, steps, parameter.key)
                seen = float(event["lr"][group])
                if not abs(seen - expected) <= NINE_DIGITS * expected:
                    yield _Off(parameter, event["step"], done, expected, seen)
        effective[event["optimizer"]] = done + (not event["skipped"])


def _moves(asked: Optimization, trace: Trace) -> Iterator[tuple[int, list[_Move]]]:
    """For each step of each optimizer what it moved, after the number of the step."""
    places = places_of(trace)
    for event in trace.steps:
        moved = [
            _Move(parameter, float(event["lr"][group]), full_rate(asked, parameter.component, parameter.key))
            for parameter in trace.parameters
            for optimizer, group in places.get(parameter.index, ())
            if optimizer == event["optimizer"] and group < len(event["lr"])
        ]
        yield event["step"], moved


def _apart(moved: Sequence[_Move]) -> list[_Move]:
    """What did not move at the share of the first, but for what nine digits hide of the two rates."""
    first = moved[0].share if moved else 0.0
    return [one for one in moved if not abs(one.share - first) <= 2 * NINE_DIGITS * max(one.share, first)]


def _cause(asked: Optimization, steps: int, off: _Off) -> str:
    """Whether the rate is that of the step before or after."""
    for shift, cause in ((1, "stepped before the optimizer, or twice"), (-1, "not stepped at the step before")):
        other = expected_rate(asked, off.parameter.component, off.effective + shift, steps, off.parameter.key)
        if other != off.expected and off.effective + shift >= 0 and abs(off.seen - other) <= NINE_DIGITS * other:
            return f"the schedule was {cause}"
    return "another rate was given to the optimizer's group, or the schedule works on other steps"
