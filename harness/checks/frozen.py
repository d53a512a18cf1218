"""What should stay, stays bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.expected import should_train
from harness.checks.needs import Closed, FrozenPart, Parameters, Steps
from harness.checks.registry import check
from harness.checks.written import as_written
from harness.result import Finding
from harness.wording import by_component, count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class FrozenMoved(Finding):
    """Frozen parameters of which some bit changed."""


class BufferMoved(Finding):
    """Buffers of frozen components of which some bit changed."""


@check(
    "frozen parameters keep every bit",
    source="LLaVA #1647, MGM: towers trained that were meant to be frozen",
    needs=[FrozenPart, Parameters, Steps(1)],
)
def frozen_parameters_unchanged(intent: Intent, trace: Trace) -> Iterator[Finding]:
    moved = [p for p in trace.parameters if not should_train(intent, p) and p.moved]
    for component, keys in by_component((p.component, p.key) for p in moved).items():
        elements = sum(p.elements_moved for p in moved if p.component == component)
        said = as_written(intent, trace, [p for p in moved if p.component == component], "frozen")
        yield FrozenMoved(
            expected=f"{component}: every bit as before training{said}",
            seen=f"{count(len(keys), 'parameter')} changed, {count(elements, 'element')} at most at one step",
            where=listed(keys),
            cause="the optimizer holds them, or something wrote into them",
        )


@check(
    "buffers of frozen components keep every bit",
    source="frozen towers in train mode: running statistics move without any gradient",
    needs=[Parameters, Steps(1), Closed],
)
def frozen_buffers_unchanged(intent: Intent, trace: Trace) -> Iterator[Finding]:
    before: dict[str, list[str]] = next(trace.in_force("buffers"), {"path": [], "fingerprint": []})
    after = next(event["buffers"] for event in trace.in_force("final"))
    tuned = {p.component for p in trace.parameters if should_train(intent, p) and p.role != "adapter"}
    moved = []
    for path, first, last in zip(before["path"], before["fingerprint"], after, strict=True):
        key = trace.naming.canonical(path)
        component = trace.naming.component(key)
        if first != last and component not in tuned:
            moved.append((component, key))
    for component, keys in by_component(moved).items():
        yield BufferMoved(
            expected=f"{component}: every buffer as before training",
            seen=f"{count(len(keys), 'buffer')} changed",
            where=listed(keys),
            cause="the component ran in train mode and updates statistics, or something wrote into them",
        )
