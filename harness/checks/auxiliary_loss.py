"""What keeps experts evenly loaded is a part of the loss where the trainer is meant to add it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.accumulation import ROUNDINGS, auxiliary_losses, close, place, share_of, shares_of
from harness.checks.movement import HALF_ULP
from harness.checks.needs import Need, Steps
from harness.checks.registry import check
from harness.checks.steps_needs import BackwardValues
from harness.result import Finding, Reason

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

# Adding it to the loss is one more rounding than the share and the scale take.
ALLOWED = ROUNDINGS + 1


class AuxiliaryLossLeftOut(Finding):
    """A backward that started from the loss without what the model gave beside it."""


@dataclass(frozen=True)
class _Auxiliary(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.mechanisms.auxiliary_loss else Reason.NO_AUXILIARY_LOSS

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if any(auxiliary_losses(trace).values()) else "the model gave no auxiliary loss beside its loss"


@check(
    "the loss that goes backward holds what keeps the experts evenly loaded",
    source="MiniMind's first generation computed it and never added it: nothing kept the experts from idling",
    needs=[Steps(1), _Auxiliary(), BackwardValues],
)
def auxiliary_loss_added(intent: Intent, trace: Trace) -> Iterator[Finding]:
    allowed = ALLOWED * HALF_ULP[intent.weights]
    auxiliary = auxiliary_losses(trace)
    left_out = []
    for event, loss, value in shares_of(trace):
        share = share_of(intent, trace, event)
        whole = loss + auxiliary.get(place(event), 0.0)
        if math.isfinite(value) and not close(value, whole * share, allowed):
            left_out.append((event, whole * share, value))
    for event, expected, value in left_out[:1]:
        yield AuxiliaryLossLeftOut(
            expected=f"{expected:.9g}: a share of the loss and of what the model gave beside it",
            seen=f"{value:.9g}, at {len(left_out)} of {len(auxiliary)} micro-batches",
            where=f"step {event['step']}, micro-batch {event['micro']}",
            cause="the trainer takes the loss alone, and the experts' gate learns nothing of their load",
            do="loss = output.loss + output.aux_loss",
        )
