"""Sample i in means sample i out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.needs import DataPromise, Forwards
from harness.checks.registry import check
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class SampleSubstituted(Finding):
    """A micro-batch that held another sample than the one at its place in the data."""


class NoLabels(Finding):
    """A micro-batch in which no token is learned."""


@check(
    "every micro-batch holds the samples at its place in the data",
    source="MGM #116, MiniCPM-V #532: a sample that cannot be read is silently replaced by a random one",
    needs=[DataPromise],
)
def samples_in_order(intent: Intent, trace: Trace) -> Iterator[Finding]:
    data = trace.of("data")[0]
    seen = [event for event in trace.of("forward") if event["training"] and "samples" in event]
    for place, (event, wanted, names) in enumerate(zip(seen, data["fingerprints"], data["samples"], strict=False)):
        for row, (was, should, name) in enumerate(zip(event["samples"], wanted, names, strict=False)):
            if was != should:
                yield SampleSubstituted(
                    expected=f"sample {name}",
                    seen=_name_of(was, data),
                    where=f"micro-batch {place}, row {row}",
                    cause="a sample that could not be read was replaced, or the order was changed",
                )


@check(
    "every micro-batch has tokens to learn",
    source="MGM #83: a wrong template masks every label, and the loss is of nothing",
    needs=[Forwards],
)
def labels_present(intent: Intent, trace: Trace) -> Iterator[Finding]:
    empty = [event for event in trace.of("forward") if event["training"] and event.get("labels") == 0]
    for event in empty[:1]:
        yield NoLabels(
            expected="at least one label per micro-batch",
            seen=f"none at step {event['step']}, micro-batch {event['micro']}"
            + (f", and at {len(empty) - 1} more" if len(empty) > 1 else ""),
            where="the labels given to the model",
            cause="the prompt template and the masking rule disagree, or the answer was cut off",
        )


def _name_of(fingerprint: str, data: dict[str, list[list[str]]]) -> str:
    for prints, names in zip(data["fingerprints"], data["samples"], strict=True):
        if fingerprint in prints:
            return f"sample {names[prints.index(fingerprint)]}"
    return "no sample of this run"
