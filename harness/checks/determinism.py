"""What is frozen computes the same at every pass, and so does everything in evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.expected import should_train
from harness.checks.needs import FrozenPart, Probe
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import by_component, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class FrozenNotDeterministic(Finding):
    """Frozen components that give other outputs at each pass while the rest of the model trains."""


class EvaluationNotDeterministic(Finding):
    """Outputs that differ between two passes of the same batch in evaluation."""


class EvaluationAlters(Finding):
    """Buffers that a pass in evaluation changes."""


@check(
    "frozen components give equal outputs at each pass while the model trains",
    source="MGM: the frozen ConvNeXt keeps its stochastic depth in train mode",
    needs=[FrozenPart, Probe(probe="frozen_in_training")],
)
def frozen_parts_deterministic(intent: Intent, trace: Trace) -> Iterator[Finding]:
    made = trace.probe("frozen_in_training") or {}
    trained = {p.component for p in trace.parameters if should_train(intent, p)}
    for component, difference in made["largest_difference"].items():
        if difference != 0 and component not in trained:
            yield FrozenNotDeterministic(
                expected=f"{component}: equal outputs at {made['passes']} passes in train mode",
                seen=f"the model's outputs differ by up to {float(difference):.3g}",
                where=component,
                cause="its dropout or stochastic depth is at work: it is frozen and still in train mode",
                do="put frozen components into eval mode, or build them without dropout and drop-path",
            )


@check(
    "in evaluation two passes of a batch are equal, bit for bit",
    source="dropout by hand that looks at no mode; statistics that evaluation updates",
    needs=[Probe(probe="evaluated_twice")],
)
def evaluation_deterministic(intent: Intent, trace: Trace) -> Iterator[Finding]:
    made = trace.probe("evaluated_twice") or {}
    unequal = {name: difference for name, difference in made["largest_difference"].items() if difference != 0}
    if unequal:
        yield EvaluationNotDeterministic(
            expected="equal outputs of the same batch in eval mode",
            seen="off by up to " + ", ".join(f"{float(off):.3g} ({name})" for name, off in unequal.items()),
            where="the trained model",
            cause="something draws random numbers, or keeps state, in eval mode too",
        )
    moved = [(trace.naming.component(key), key) for key in map(trace.naming.canonical, made["buffers_changed"])]
    for component, keys in by_component(moved).items():
        yield EvaluationAlters(
            expected=f"{component}: every buffer as it was before evaluation",
            seen=f"{len(keys)} changed",
            where=listed(keys),
            cause="a module updates its statistics in eval mode too",
        )
