"""Losses and gradients are numbers, and each step starts from none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.needs import Parameters, Steps
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class LossNotFinite(Finding):
    """A training loss that is NaN or infinite."""


class LossMissing(Finding):
    """A training forward that gave no loss."""


class GradientNotFinite(Finding):
    """A gradient that reached the optimizer with NaN or infinity in it."""


class StaleGradients(Finding):
    """A step that began with gradients of the step before."""


class GradientsLost(Finding):
    """Gradients zeroed between backward and the optimizer's step."""


@check("every training loss is finite", source="MiniCPM-V #212: loss 1.08, then 0.0 and nan", needs=[Steps(1)])
def losses_finite(intent: Intent, trace: Trace) -> Iterator[Finding]:
    forwards = [event for event in trace.of("forward") if event["training"]]
    bad = [event for event in forwards if event["loss"] is not None and not _finite(event["loss"])]
    roots = [event for event in trace.of("backward") if event["value"] is not None and not _finite(event["value"])]
    for event in (bad or roots)[:1]:
        yield LossNotFinite(
            expected="a finite loss at every micro-batch",
            seen=f"{event.get('loss', event.get('value'))} at {_place(event)}"
            + (f", and {len(bad or roots) - 1} more" if len(bad or roots) > 1 else ""),
            where="the forward" if bad else "between the forward's loss and backward",
            cause="overflow, a batch whose labels are all masked, or a division by zero",
        )
    elsewhere = {_place(event) for event in trace.of("backward") if event["value"] is not None}
    if silent := [event for event in forwards if event["loss"] is None and _place(event) not in elsewhere]:
        yield LossMissing(
            expected="a loss from every training forward, or from what was made of its output",
            seen=f"none at {_place(silent[0])}",
            where="the model's output, and what backward started from",
            cause="no labels were given",
        )


@check(
    "every gradient that reaches an effective optimizer step is finite",
    source="MiniCPM-V #212: grad_norm nan",
    needs=[Parameters, Steps(1)],
)
def gradients_finite(intent: Intent, trace: Trace) -> Iterator[Finding]:
    effective = {step["step"] for step in trace.effective_steps}
    for event in trace.gradients("optimizer"):
        bad = [_key(trace, index) for index, norm in enumerate(event["norm"]) if norm is not None and not _finite(norm)]
        if bad and event["step"] in effective:
            yield GradientNotFinite(
                expected="finite gradients at the optimizer",
                seen=f"{count(len(bad), 'gradient')} with NaN or infinity at step {event['step']}",
                where=listed(bad),
                cause="overflow in the backward pass that no gradient scaler caught",
            )
            return


@check(
    "gradients are zeroed once per optimizer step",
    source="accumulating over steps instead of within one",
    needs=[Parameters, Steps(2)],
)
def gradients_zeroed_once_per_step(intent: Intent, trace: Trace) -> Iterator[Finding]:
    stale = [event for event in trace.of("backward") if event["stale"] and event["step"] > 0]
    if stale:
        yield StaleGradients(
            expected="no gradient left when a step begins",
            seen=f"{count(stale[0]['stale'], 'gradient')} left over at step {stale[0]['step']}",
            where="before the first backward of the step",
            cause="zero_grad is missing, or zeroes another optimizer's parameters",
        )
    if lost := list(_zeroed_before_step(trace)):
        yield GradientsLost(
            expected="zero_grad after the optimizer's step only",
            seen=f"zeroed at {_place(lost[0])}, after a backward and before the step",
            where="the training loop",
            cause="zero_grad runs once per micro-batch, so that only the last one counts",
        )


def _zeroed_before_step(trace: Trace) -> Iterator[dict[str, Any]]:
    pending = False
    for event in trace.events:
        if event["kind"] == "backward":
            pending = True
        elif event["kind"] == "optimizer_step":
            pending = False
        elif event["kind"] == "zero_grad" and pending:
            yield event


def _key(trace: Trace, index: int) -> str:
    """The name of a parameter; gradients are listed of all models, the first one's before the others'."""
    return trace.parameters[index].key if index < len(trace.parameters) else "a parameter of another model"


def _finite(value: Any) -> bool:
    return math.isfinite(float(value))


def _place(event: dict[str, Any]) -> str:
    return f"step {event['step']}, micro-batch {event['micro']}"
