"""The run came to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.registry import check
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class RunEnded(Finding):
    """The process raised, was killed, hung, or left before its work was done."""


@check("the run came to its end", source="a crash must never end green", name="run.completed")
def run_completed(intent: Intent, trace: Trace) -> Iterator[Finding]:
    output = trace.outcome.get("last_output")
    said = f"; it said: {output}" if output else ""
    if trace.failure:
        yield RunEnded(
            expected="a run that ends by itself",
            seen=f"{trace.failure['error']}: {trace.failure['message']}",
            where=f"stage {trace.failure['stage']}, after {len(trace.steps)} optimizer steps",
            do=trace.failure.get("do", ""),
        )
    elif not trace.closed or trace.outcome.get("code", 0) != 0:
        yield RunEnded(
            expected="a run that ends by itself",
            seen=(trace.outcome.get("ended") or "the stream has no closing record") + said,
            where=f"stage {trace.stage}, after {len(trace.steps)} optimizer steps",
        )
    elif intent.steps is not None and len(trace.steps) != intent.steps:
        yield RunEnded(
            expected=f"{intent.steps} optimizer steps",
            seen=f"{len(trace.steps)}",
            where="the training loop",
            cause="the data ran out, or the loop stopped early",
        )
