"""Sample i in means sample i out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from harness.checks.needs import DataPromise, Forwards
from harness.checks.registry import check
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class SampleSubstituted(Finding):
    """Micro-batches that held other samples, fewer or more than those at their place in the data."""


class NoLabels(Finding):
    """A micro-batch in which no token is learned."""


@check(
    "every micro-batch holds the samples at its place in the data",
    source="MGM #116, MiniCPM-V #532: a sample that cannot be read is silently replaced by a random one",
    needs=[DataPromise],
)
def samples_in_order(intent: Intent, trace: Trace) -> Iterator[Finding]:
    data = trace.of("data")[0]
    wrong = [(place, row, was, should) for place, row, was, should in _rows(trace, data) if was != should]
    for place, row, was, should in wrong[:1]:
        yield SampleSubstituted(
            expected=_name_of(should, data),
            seen=_name_of(was, data) + (f", and {len(wrong) - 1} more rows differ" if len(wrong) > 1 else ""),
            where=f"micro-batch {place}, row {row}",
            cause="a sample that could not be read was replaced or left out, or the order was changed",
        )


@check(
    "every micro-batch has tokens to learn",
    source="MGM #83: a wrong template masks every label, and the loss is of nothing",
    needs=[Forwards],
)
def labels_present(intent: Intent, trace: Trace) -> Iterator[Finding]:
    forwards = [event for event in trace.of("forward") if event["training"]]
    empty = [event for event in (*forwards, *trace.of("backward")) if event.get("labels") == 0]
    for event in empty[:1]:
        yield NoLabels(
            expected="at least one label per micro-batch",
            seen=f"none at step {event['step']}, micro-batch {event['micro']}"
            + (f", and at {len(empty) - 1} more" if len(empty) > 1 else ""),
            where="the labels given to the model or to its loss",
            cause="the prompt template and the masking rule disagree, or the answer was cut off",
        )


def _rows(trace: Trace, data: dict[str, Any]) -> Iterator[tuple[int, int, str | None, str | None]]:
    """Micro-batch, row, the sample that was there and the one that should be; None where there is none.

    A run that ended early saw fewer micro-batches, and that is another check's word.
    """
    seen = [event.get("samples", ()) for event in trace.of("forward") if event["training"]]
    promised = data["fingerprints"] if trace.closed else data["fingerprints"][: len(seen)]
    for place, (was, should) in enumerate(zip_longest(seen, promised, fillvalue=())):
        for row, pair in enumerate(zip_longest(was, should)):
            yield place, row, *pair


def _name_of(fingerprint: str | None, data: dict[str, list[list[str]]]) -> str:
    if fingerprint is None:
        return "no sample"
    for prints, names in zip(data["fingerprints"], data["samples"], strict=True):
        if fingerprint in prints:
            return f"sample {names[prints.index(fingerprint)]}"
    return "no sample of this run"
