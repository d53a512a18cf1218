"""What a gradient scaler promises step by step: unscaled before clipped, and a skipped step as if it had not been."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.needs import Need, Parameters, Steps
from harness.checks.precision_seen import scaler_was_on
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class ClippedScaled(Finding):
    """Gradients clipped while still multiplied by the scale: what remains of them is next to nothing."""


class UnscaledEarly(Finding):
    """Gradients unscaled before the last micro-batch: what it adds is too large by the scale."""


class SkippedStepMoved(Finding):
    """Parameters that changed in a step that was skipped."""


class SkippedStepCounted(Finding):
    """An optimizer whose state changed in a step that was skipped."""


class ScheduleAdvanced(Finding):
    """A schedule that went on although the step was skipped."""


class ScaleNotLowered(Finding):
    """A step that was skipped for its overflow, and a scale that stayed as it was."""


class NoRecovery(Finding):
    """Steps that are still skipped after the scale was lowered."""


@dataclass(frozen=True)
class _Scaler(Need):
    """A gradient scaler is asked for; where the intent does not say, what is seen is judged."""

    def refusal(self, intent: Intent) -> Reason | None:
        return Reason.NO_SCALER if intent.mechanisms.loss_scaler is False else None

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return "no gradient scaler was made" if intent.mechanisms.loss_scaler and not trace.of("scaler") else None


Scaler = _Scaler()


@check(
    "gradients are unscaled once per step, after the last backward and before clipping",
    source="torch's AMP examples: unscale_, then clip; a norm of scaled gradients is clipped to nothing",
    needs=[Scaler, Steps(1)],
)
def gradients_unscaled_before_clip(intent: Intent, trace: Trace) -> Iterator[Finding]:
    if not scaler_was_on(trace):
        return
    clipped = list(_while_scaled(trace))
    if clipped:
        steps = sorted({event["step"] for event in clipped})
        yield ClippedScaled(
            expected="unscale_ before clip_grad_norm_",
            seen=f"clipped before it was unscaled at step {steps[0]}"
            + (f", and at {len(steps) - 1} more" if steps[1:] else ""),
            where="the training loop",
            cause="unscale_ is missing, or follows the clipping: the norm was that of scaled gradients",
            do="scaler.unscale_(optimizer) before clip_grad_norm_",
        )
    for event in list(_added_scaled(trace))[:1]:
        yield UnscaledEarly(
            expected="unscale_ after the last backward of a step",
            seen=f"a backward after it, at step {event['step']}, micro-batch {event['micro']}",
            where="the training loop",
            cause="unscale_ runs once per micro-batch, not once per step",
            do="unscale where the optimizer steps",
        )


def _while_scaled(trace: Trace) -> Iterator[dict[str, Any]]:
    unscaled = False
    for event in trace.events:
        if event["kind"] in ("unscale", "optimizer_step"):
            unscaled = event["kind"] == "unscale"
        elif event["kind"] == "clip" and not unscaled:
            yield event


def _added_scaled(trace: Trace) -> Iterator[dict[str, Any]]:
    unscaled = False
    for event in trace.events:
        if event["kind"] in ("unscale", "optimizer_step"):
            unscaled = event["kind"] == "unscale"
        elif event["kind"] == "backward" and unscaled:
            yield event


@check(
    "a skipped step leaves parameters, optimizer state and schedule alone",
    source="accelerate #4242: with fused AdamW nobody is told that a step was skipped, and the schedule goes on",
    needs=[Parameters, Scaler, Steps(1)],
)
def skipped_steps_change_nothing(intent: Intent, trace: Trace) -> Iterator[Finding]:
    for step in [step for step in trace.steps if step["skipped"]]:
        where = f"step {step['step']}, which was skipped"
        if moved := list(_moved(step, trace)):
            yield SkippedStepMoved(
                expected="every parameter as it was before the step",
                seen=f"{count(len(moved), 'parameter')} changed: {listed(moved)}",
                where=where,
                cause="something else than the optimizer's step writes to them",
            )
        if "state_before" in step and step["state"] != step["state_before"]:
            yield SkippedStepCounted(
                expected="the optimizer's state as it was before the step",
                seen="another one",
                where=where,
                cause="moments or step counts are kept although the step is skipped",
            )
    for place in _advanced_though_skipped(trace):
        yield ScheduleAdvanced(
            expected="a schedule that counts effective steps",
            seen="the schedule stepped",
            where=f"step {place}, which was skipped",
            cause="schedule.step() runs whether or not the scaler let the optimizer step",
            do="step the schedule only if scaler.get_scale() has not become smaller",
        )


def _moved(step: dict[str, Any], trace: Trace) -> Iterator[str]:
    assert trace.model is not None
    for model, columns in step["values"].items():
        for index, changed in enumerate(columns["changed"]):
            if changed:
                yield trace.parameters[index].key if model == trace.model["model"] else "a parameter of another model"


def _advanced_though_skipped(trace: Trace) -> list[int]:
    """The steps at which every optimizer was skipped and a schedule stepped afterwards."""
    taken = {step["step"] for step in trace.effective_steps}
    found: list[int] = []
    skipped: int | None = None
    for event in trace.events:
        if event["kind"] == "optimizer_step":
            skipped = event["step"] if event["skipped"] and event["step"] not in taken else None
        elif event["kind"] == "scheduler_step" and not event["initial"] and skipped is not None:
            found.append(skipped)
            skipped = None
    return found


@check(
    "a skipped step lowers the scale, and the steps after it take effect",
    source="a scaler whose update is left out skips for ever, and training ends where it began",
    needs=[Scaler, Steps(1)],
)
def scale_backs_off_and_recovers(intent: Intent, trace: Trace) -> Iterator[Finding]:
    skipped = [step["step"] for step in trace.steps if step["skipped"]]
    lowered = {event["step"] for event in trace.of("scaler_update") if event["after"] < event["before"]}
    if as_it_was := [step for step in skipped if step not in lowered]:
        yield ScaleNotLowered(
            expected="a lower scale after a skipped step",
            seen=f"the same one after step {as_it_was[0]}",
            where="the scaler's update",
            cause="scaler.update() is missing, or is given the scale",
        )
    elif skipped and (again := _not_recovered(intent, trace, skipped)):
        yield NoRecovery(
            expected=f"effective steps after step {skipped[0]}, which was skipped",
            seen=f"{count(len(again), 'more skipped step')}, first {again[0]}",
            where="the gradient scaler",
            cause="gradients are infinite or not numbers whatever the scale",
        )


def _not_recovered(intent: Intent, trace: Trace, skipped: list[int]) -> list[int]:
    """Further skipped steps: any of them where one overflow was made on purpose, else all if no step took effect."""
    recovered = any(step["step"] > skipped[0] for step in trace.effective_steps)
    return skipped[1:] if intent.mechanisms.overflow or not recovered else []
