"""Which part of a micro-batch's loss counts, where nobody has said it: by as many micro-batches, or by their tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.checks.universal.steps import accumulation_consistent
from harness.trace.reader import Trace


def trace(*micro_batches: tuple[int, float, float], items: int | None = None) -> Trace:
    """One step over micro-batches, each with the tokens that it learns, the loss that the model gave, and the value
    that backward started from; with `items`, the model was told so many tokens."""
    events: list[dict[str, Any]] = []
    for micro, (tokens, loss, value) in enumerate(micro_batches):
        at = {"step": 0, "micro": micro}
        told = {} if items is None else {"items": items}
        learned = {"stretches": [[[0, tokens]]]}
        events.append({"kind": "forward", **at, "training": True, "loss": loss, "learned": learned, **told})
        events.append({"kind": "backward", **at, "value": value})
    step = {"kind": "optimizer_step", "step": 0, "skipped": False, "optimizer": "o", "backwards": len(micro_batches)}
    return Trace(Path(), {}, [*events, step])


@pytest.mark.parametrize(
    "one",
    [
        trace((4, 2.0, 1.0), (4, 6.0, 3.0)),
        trace((4, 1.0, 1.0), (4, 3.0, 3.0), items=8),  # the model has divided by the tokens of the step already
        trace((2, 0.5, 0.5), (6, 4.5, 4.5), items=8),
    ],
    ids=["divided by two", "told of the step's tokens", "and micro-batches learn unequally many"],
)
def test_a_step_of_shares_is_silent(one: Trace) -> None:
    assert not list(accumulation_consistent(one))


@pytest.mark.parametrize(
    "one",
    [trace((4, 2.0, 2.0), (4, 6.0, 6.0)), trace((4, 1.0, 2.0), (4, 3.0, 6.0), items=8)],
    ids=["not divided", "told of the step's tokens, and multiplied again"],
)
def test_a_step_of_wholes_is_told(one: Trace) -> None:
    (finding,) = accumulation_consistent(one)

    assert finding.seen == "not divided at all"
