"""A run that was interrupted, and gone on with by another process, is the run that nothing interrupts: bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.checks.equivalence import AgreesWith
from harness.checks.needs import ALONE, Closed, Parameters, Partner, Steps
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count

if TYPE_CHECKING:
    from harness.comparator import Difference
    from harness.intent import Intent
    from harness.recipe import Recipe
    from harness.trace.reader import Trace

FIELDS = (
    "steps",
    "skipped",
    "samples",
    "labels",
    "pixels",
    "loss",
    "value of backward",
    "norm that was clipped",
    "gradient norm at optimizer",
    "learning rate",
    "loss scale",
    "random state",
    "weights",
    "optimizer state",
    "final weights",
    "final optimizer state",
)
# What is another, wherever the two part first, and what that comes from: what is read first in a step speaks first.
CAUSES = (
    (("samples", "labels", "pixels"), "the data begin anew, or go on at another place"),
    (("learning rate",), "the schedule begins anew: its state was not restored"),
    (("loss scale", "skipped"), "the gradient scaler begins anew: its state was not restored"),
    (("random state",), "random numbers begin anew: their state was not restored"),
    (
        ("loss", "value of backward"),
        "the weights are not those that training was stopped with: rounded, or of another step",
    ),
    (("optimizer state", "weights"), "the optimizer's state was not restored, or is of another step"),
)


class ResumedElsewhere(Finding):
    """Steps after an interruption that are not those of a run that nothing interrupts."""


def _uninterrupted(recipe: Recipe) -> dict[str, Any]:
    return {"interrupted_after": None, **ALONE}


@check(
    "steps after an interruption are those of a run that nothing interrupts, bit for bit",
    source="MiniMind's resume file in fp16, transformers 4.46's lost random state: what goes on is another run",
    needs=[
        Closed,
        Parameters,
        Steps(1),
        AgreesWith(other="uninterrupted"),
        Partner(name="uninterrupted", changes=_uninterrupted),
    ],
)
def resumed_equals_uninterrupted(intent: Intent, trace: Trace, uninterrupted: Trace) -> Iterator[Finding]:
    from harness.comparator import compare  # which loads numpy: listing checks needs none
    from harness.comparator.tolerances import BITWISE

    whole = _from_step(uninterrupted, intent.first_step)
    found = compare(trace, whole, BITWISE, fields=FIELDS, may_differ=("interrupted_after", *ALONE))
    if found.reasons:
        yield ResumedElsewhere(
            expected="the run that nothing interrupts to be of the same experiment",
            seen="; ".join(found.reasons),
            where="the two runs",
        )
    elif found.first:
        first = found.first
        yield ResumedElsewhere(
            expected=f"{first.second} as without an interruption ({first.place.field})",
            seen=f"{first.first}; {count(len(found.differences), 'value')} not equal to the bit",
            where=str(first.place),
            cause=_cause(found.differences),
            do="save and load weights, optimizer, schedule, scaler, random numbers and the place in the data together",
        )


def _from_step(trace: Trace, first: int) -> Trace:
    """The trace without the steps before one. What was logged of all steps is one record."""
    steps = [(event, event.get("step", first)) for event in trace.events]
    return replace(trace, events=[event for event, step in steps if isinstance(step, list) or step >= first])


def _cause(differences: Sequence[Difference]) -> str:
    """What the first step that differs says of it."""
    steps = [one.place.step for one in differences if one.place.step is not None]
    fields = {one.place.field for one in differences if one.place.step == min(steps, default=None)}
    return next((cause for names, cause in CAUSES if fields.intersection(names)), "")
