"""The run came to its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.registry import check
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Record, Trace


class RunEnded(Finding):
    """The process raised, was killed, hung, or left before its work was done."""


# Of what a process says when another leaves it waiting: which exchange of gradients it was is nobody's to know.
LEFT_WAITING = re.compile(
    r"Timed? ?out waiting|Connection closed by peer|Connection reset by peer|Expected to have finished reduction"
)
ALONE = "the processes came to different exchanges: one has gone, or has parts of the model in use that another has not"


@check("the run came to its end", source="a crash must never end green", name="run.completed")
def run_completed(intent: Intent, trace: Trace) -> Iterator[Finding]:
    for one in trace.ranks:
        yield from _ended(intent, one)


def _ended(intent: Intent, trace: Trace) -> Iterator[Finding]:
    outcome = _outcome(trace)
    output = outcome.get("last_output")
    said = f"; it said: {output}" if output else ""
    which = f"process {trace.rank}, " if trace.others or trace.rank else ""
    where = f"{which}stage {trace.stage}, after {len(trace.steps)} optimizer steps"
    if trace.failure:
        message = f"{trace.failure['error']}: {trace.failure['message']}"
        yield RunEnded(
            expected="a run that ends by itself",
            seen=message,
            where=f"{which}stage {trace.failure['stage']}, after {len(trace.steps)} optimizer steps",
            cause=ALONE if LEFT_WAITING.search(message) else "",
            do=trace.failure.get("do", ""),
        )
    elif not trace.closed or outcome.get("code", 0) != 0:
        yield RunEnded(
            expected="a run that ends by itself",
            seen=(outcome.get("ended") or "the stream has no closing record") + said,
            where=where,
        )
    elif trace.rank == 0 and intent.steps is not None and len(trace.steps) != intent.steps:
        yield RunEnded(
            expected=f"{intent.steps} optimizer steps",
            seen=f"{len(trace.steps)}",
            where="the training loop",
            cause="the data ran out, or the loop stopped early",
        )


def _outcome(trace: Trace) -> Record:
    """How this process ended; where there is one, how the run did."""
    of_each: list[Record] = trace.outcome.get("ranks") or []
    return of_each[trace.rank] if trace.rank < len(of_each) else trace.outcome
