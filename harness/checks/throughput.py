"""Steps are as fast as was asked: against a bare loop beside them, and against what such a machine did before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.needs import Closed, Parameters, Steps
from harness.checks.paced import AThroughputBudget, Pace, PacedAndWhole, pace_of
from harness.checks.registry import check
from harness.result import Finding, Severity

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.recipe.budgets import Throughput
    from harness.trace.reader import Trace

REFRESH = "harness run the suite, then harness budget OUT --write"


class SlowerThanBare(Finding):
    """Steps that take longer than a bare loop's by more than the budget allows, whatever the noise."""


class SlowerThanMeasured(Finding):
    """Steps that use less of the device than the same recipe did on one of its kind."""


class FasterThanMeasured(Finding):
    """Steps that use so much more of the device that the old measurement no longer guards anything."""


@check(
    "steps are as fast as the budget says, as a part of a bare loop's speed and of the device's own",
    source="MiniCPM-V, LLaVA: dataloaders and logging that take as long as the step; eager attention unnoticed",
    needs=[Closed, Parameters, Steps(1), AThroughputBudget(), PacedAndWhole()],
)
def throughput_within_budget(intent: Intent, trace: Trace, paced: Trace) -> Iterator[Finding]:
    assert intent.budget is not None
    assert intent.budget.throughput is not None
    asked, pace = intent.budget.throughput, pace_of(paced)
    if pace.of_bare.high < asked.of_bare:
        yield SlowerThanBare(
            expected=f"at least {asked.of_bare:.0%} of the bare loop's speed, {_ms(pace.bare_seconds_per_step)} a step",
            seen=f"{pace.of_bare.middle:.0%}, at most {pace.of_bare.high:.0%}: {_ms(pace.seconds_per_step)} a step",
            where=_where(pace),
            cause="what the trainer does around a step: making the batch, logging, a pass that nobody needs",
            do="profile a step; what the bare loop does not do is where the time goes",
        )
    yield from _against_before(asked, pace)


def _against_before(asked: Throughput, pace: Pace) -> Iterator[Finding]:
    known = asked.on(pace.device)
    if known is None:
        return
    factor = 1 + asked.slower
    elsewhere = f"; it was measured under torch {known.torch}, and this is {pace.torch}" * (known.torch != pace.torch)
    if pace.of_matmul.high < known.of_matmul / factor:
        yield SlowerThanMeasured(
            expected=f"at least {known.of_matmul / factor:.3%} of the matrix rate in model FLOPs",
            seen=f"{pace.of_matmul.middle:.3%}, at most {pace.of_matmul.high:.3%}, where {known.of_matmul:.3%} was",
            where=_where(pace),
            cause=f"another kernel, such as eager attention, more work in a step, or a slower trainer{elsewhere}",
            do=f"harness compare with a trace of before; if it is meant to be slower: {REFRESH}",
        )
    if pace.of_matmul.low > known.of_matmul * factor:
        yield FasterThanMeasured(
            expected=f"about {known.of_matmul:.3%} of the matrix rate in model FLOPs, as was measured",
            seen=f"{pace.of_matmul.middle:.3%}, at least {pace.of_matmul.low:.3%}",
            where=_where(pace),
            cause=f"it has become faster, and could lose all of that again unnoticed{elsewhere}",
            do=f"refresh it: {REFRESH}",
            severity=Severity.WARNING,
        )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"


def _where(pace: Pace) -> str:
    return f"{pace.windows} windows of the timed run on {pace.device}, spread {pace.spread:.0%}"
