"""The optimizer holds what trains, once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.needs import Parameters, Steps
from harness.checks.optimizer_groups import places_of
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class NotInOptimizer(Finding):
    """Parameters that require a gradient and that no optimizer holds."""


class TwiceInOptimizer(Finding):
    """Parameters that are in more than one group: each would be stepped twice."""


LATE = "the engine was made first, and an adapter, a new head or a wrapper came later"


class FrozenInOptimizer(Finding):
    """Frozen parameters in an optimizer: weight decay moves those that have a gradient left."""


@check(
    "every trainable parameter is in the optimizer exactly once, and no frozen one",
    source="MGM lr_multi: overlapping name patterns put parameters into two groups",
    needs=[Parameters, Steps(1)],
)
def optimizer_holds_trainables_once(intent: Intent, trace: Trace) -> Iterator[Finding]:
    held = places_of(trace)
    absent = [p.key for p in trace.parameters if p.requires_grad and p.index not in held]
    twice = [p.key for p in trace.parameters if len(held.get(p.index, ())) > 1]
    frozen = [p.key for p in trace.parameters if not p.requires_grad and p.index in held]
    if absent:
        yield NotInOptimizer(
            expected="every trainable parameter in the optimizer",
            seen=f"{count(len(absent), 'parameter')} in none",
            where=listed(absent),
            cause="made or thawed after the optimizer, or filtered out by name",
        )
    for event in trace.of("late"):
        yield NotInOptimizer(
            expected="every trainable parameter in the optimizer",
            seen=f"{count(len(event['parameters']), 'parameter')} in none: they came after it",
            where=listed(map(trace.naming.canonical, event["parameters"])),
            cause=LATE,
        )
    if twice:
        yield TwiceInOptimizer(
            expected="every parameter in one group",
            seen=f"{count(len(twice), 'parameter')} in several",
            where=listed(twice),
            cause="overlapping name patterns",
        )
    if frozen:
        yield FrozenInOptimizer(
            expected="only trainable parameters in the optimizer",
            seen=f"{count(len(frozen), 'frozen parameter')}",
            where=listed(frozen),
            cause="the optimizer was given model.parameters()",
        )
