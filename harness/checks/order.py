"""What happens within a step happens in its order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.needs import Steps
from harness.checks.registry import check
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

NAMES = {
    "backward": "the last backward",
    "unscale": "unscaling",
    "clip": "clipping",
    "optimizer_step": "the optimizer's step",
    "scaler_update": "the scaler's update",
    "scheduler_step": "the schedule's step",
}
# Each of these comes before those named with it, wherever both are in a step. When gradients are zeroed is the word of
# another check: before the first backward is as good as after the step.
BEFORE = {
    "backward": ("unscale", "clip", "optimizer_step"),
    "unscale": ("clip", "optimizer_step"),
    "clip": ("optimizer_step",),
    "optimizer_step": ("scaler_update", "scheduler_step"),
}


class OutOfOrder(Finding):
    """Something that a step does earlier or later than it has to."""


@check(
    "backward, unscale, clip, optimizer, scaler and schedule come in this order at each step",
    source="minimind #231: the rate fell with each micro-batch; clipping of scaled or of unfinished gradients",
    needs=[Steps(1)],
)
def events_in_order(intent: Intent, trace: Trace) -> Iterator[Finding]:
    wrong: dict[tuple[str, str], list[int]] = {}
    for step, kinds in _by_step(trace).items():
        for pair in _swapped(kinds):
            wrong.setdefault(pair, []).append(step)
    for (early, late), steps in wrong.items():
        yield OutOfOrder(
            expected=f"{NAMES[early]}, then {NAMES[late]}",
            seen=f"{NAMES[late]} came first" + (f", at {len(steps)} steps" if len(steps) > 1 else ""),
            where=f"step {steps[0]}",
            cause="the lines of the training loop, or what a trainer calls inside them, are in another order",
        )


def _by_step(trace: Trace) -> dict[int, list[str]]:
    """The events of each step that the optimizer took, in their order. A schedule steps once when it is made, and
    a scaler that is disabled unscales nothing."""
    steps: dict[int, list[str]] = {}
    for event in trace.events:
        if event["kind"] in NAMES and not event.get("initial") and event.get("enabled", True):
            steps.setdefault(event["step"], []).append(event["kind"])
    return {step: kinds for step, kinds in steps.items() if "optimizer_step" in kinds}


def _swapped(kinds: list[str]) -> Iterator[tuple[str, str]]:
    """The pairs of which the later kind was seen before the last of the earlier kind."""
    for early, laters in BEFORE.items():
        for late in laters:
            if early in kinds and late in kinds and kinds.index(late) < _last(kinds, early):
                yield early, late


def _last(kinds: list[str], kind: str) -> int:
    return len(kinds) - 1 - kinds[::-1].index(kind)
