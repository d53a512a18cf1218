"""The run came to its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.checkpointing import CUT_OFF, WANT_GRADIENT, cut_off
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Record, Trace


class RunEnded(Finding):
    """The process raised, was killed, hung, or left before its work was done."""


# What processes say when one of them leaves the others waiting: which exchange it was is nobody's to know.
_WAITING = r"(?i:wait timeout|timed out)|Connection (?:closed|reset) by peer|Expected to have finished reduction"
NO_GRADIENT = "does not require grad"
_ALONE = (
    "the processes came to different exchanges: one has gone, or has parts of the model in use that another has not"
)
KNOWN: tuple[tuple[str, str, str], ...] = (
    (_WAITING, _ALONE, "look at what the other processes say; give each the same kinds of samples"),
    (
        r"Using hostfile at \S+ but host=",
        "the hostfile names machines that are not to be reached by ssh: one machine needs neither",
        "take the file away, or name none in launch.hostfile",
    ),
    ("EADDRINUSE", "somebody else listens at the port where the processes meet", "name another port, or none"),
)
"""What an error says, what it comes from, and what to do."""


@check("the run came to its end", source="a crash must never end green", name="run.completed")
def run_completed(intent: Intent, trace: Trace) -> Iterator[Finding]:
    for one in trace.ranks:
        yield from _ended(intent, one)
    silent = enumerate((trace.outcome.get("ranks") or [])[len(trace.ranks) :], start=len(trace.ranks))
    for number, outcome in silent:
        yield RunEnded(
            expected="a process that comes to training",
            seen=f"{outcome['ended']}, before it had anything to say",
            where=f"process {number}",
            cause="it never arrived where the processes meet",
        )


def _ended(intent: Intent, trace: Trace) -> Iterator[Finding]:
    outcome = _outcome(trace)
    output = outcome.get("last_output")
    which = f"process {trace.rank}, " if trace.others or trace.rank else ""
    failure = trace.failure
    stage = failure["stage"] if failure else trace.stage
    if failure or not trace.closed or outcome.get("code", 0) != 0:
        said = f"; it said: {output}" if output else ""
        ended = (outcome.get("ended") or "the stream has no closing record") + said
        seen = f"{failure['error']}: {_plain(failure['message'])}" if failure else ended
        cause, do = _known(seen, trace)
        yield RunEnded(
            expected="a run that ends by itself",
            seen=seen,
            where=f"{which}stage {stage}, after {count(len(trace.steps), 'optimizer step')}",
            cause=cause,
            do=(failure or {}).get("do") or do,
        )
    elif trace.rank == 0 and intent.steps is not None and len(trace.steps) != intent.steps:
        yield RunEnded(
            expected=f"{intent.steps} optimizer steps",
            seen=f"{len(trace.steps)}",
            where="the training loop",
            cause="the data ran out, or the loop stopped early",
        )


def _known(seen: str, trace: Trace) -> tuple[str, str]:
    """What an error comes from and what to do, where that is known; nothing else."""
    if NO_GRADIENT in seen and cut_off(trace):
        return CUT_OFF, WANT_GRADIENT
    return next(((why, how) for pattern, why, how in KNOWN if re.search(pattern, seen)), ("", ""))


def _outcome(trace: Trace) -> Record:
    """How this process ended; where there is one, how the run did."""
    of_each: list[Record] = trace.outcome.get("ranks") or []
    return of_each[trace.rank] if trace.rank < len(of_each) else trace.outcome


def _plain(message: str) -> str:
    """What an error says, without where in torch's source, at which of this machine's ports, and its good wishes."""
    without_source = re.sub(r"\[/\S+\.(?:cc|cpp):\d+\] ", "", message)
    return re.sub(r"(\[[\d.]+\]):\d+", r"\1", without_source).partition(" This is typically caused by")[0]
