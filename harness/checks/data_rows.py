"""The micro-batches that a run trained on, each with all that was seen of what it was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.trace.reader import Trace


def micro_batches(trace: Trace) -> Iterator[dict[str, Any]]:
    """Each training forward, with what only its loss knew: the labels of a model that is not given any."""
    after = {(event["step"], event["micro"]): event for event in trace.of("backward")}
    for forward in trace.of("forward"):
        if forward["training"]:
            loss = after.get((forward["step"], forward["micro"]), {})
            learned = forward.get("learned") or loss.get("learned")
            yield {**forward, "learned": learned}
