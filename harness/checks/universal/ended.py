"""The script came to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.completion import run_completed as of_recipes
from harness.checks.universal.registry import NOBODYS, universal
from harness.result import Finding, Severity
from harness.wording import count

if TYPE_CHECKING:
    from harness.trace.reader import Trace


class LeftSilently(Finding):
    """A process that left without a word, of a command that came to a good end."""


@universal("the run came to its end", source="a crash must never end green", steps=0, name="run.completed")
def run_completed(trace: Trace) -> Iterator[Finding]:
    silent = [rank for rank in trace.ranks if not rank.closed and rank.failure is None]
    if silent and trace.outcome.get("code", 0) == 0:
        yield LeftSilently(
            expected="a process that ends by its own end",
            seen="one that left without it, after its last step or a later one",
            where=f"process {silent[0].rank}, after {count(len(silent[0].steps), 'optimizer step')}",
            cause="os._exit, an exec, or a launcher that killed it once the others were done",
            severity=Severity.WARNING,
        )
        return
    yield from of_recipes(NOBODYS, trace)
