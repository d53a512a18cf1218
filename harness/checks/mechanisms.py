"""What was asked for beyond plain steps took effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.adapter_needs import PROMPTS
from harness.checks.needs import Closed, ListedIfSaved, Steps
from harness.checks.registry import check
from harness.checks.zero_mechanism import zero_idle
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class MechanismIdle(Finding):
    """A mechanism that the recipe asks for never took effect."""


@check(
    "every mechanism asked for took effect",
    source="DeepSpeed: at the default persistence threshold a small ZeRO-3 model is not partitioned at all",
    needs=[Steps(1), Closed, ListedIfSaved],
    name="run.mechanism_active",
)
def mechanism_active(intent: Intent, trace: Trace) -> Iterator[Finding]:
    for expected, seen, where, cause in zero_idle(intent, trace):
        yield MechanismIdle(expected=expected, seen=seen, where=where, cause=cause)
    for mechanism in (
        _autocast,
        _loss_scaler,
        _accumulation,
        _checkpointing,
        _clipping,
        _adapters,
        _sharding,
    ):
        yield from mechanism(intent, trace)


def _autocast(intent: Intent, trace: Trace) -> Iterator[Finding]:
    wanted = intent.mechanisms.autocast
    seen: dict[str, list[str]] = next((event["dtypes"] for event in trace.of("forward") if event.get("dtypes")), {})
    linear = seen.get("Linear", [])
    if wanted and linear != [wanted]:
        yield MechanismIdle(
            expected=f"linear layers computing in {wanted}",
            seen=", ".join(linear) or "no linear layer",
            where="the first training forward",
            cause="the forward ran outside autocast, or autocast was given another dtype",
        )


def _loss_scaler(intent: Intent, trace: Trace) -> Iterator[Finding]:
    if not intent.mechanisms.loss_scaler:
        return
    if not any(event["enabled"] for event in trace.of("scaler")) or not trace.of("scaler_update"):
        yield MechanismIdle(expected="an enabled gradient scaler", seen="no scaler update", where="the training loop")
        return
    skipped, at = [step["step"] for step in trace.steps if step["skipped"]], intent.mechanisms.overflow_at
    if (intent.mechanisms.overflow and not skipped) or (at is not None and at not in skipped):
        yield MechanismIdle(
            expected="a scale that overflows once" + ("" if at is None else f", at step {at}"),
            seen=f"step {skipped[0]} skipped" if skipped else "no skipped step",
            where="the gradient scaler",
            cause="gradients were not scaled, or not checked for overflow",
        )
    elif at and (kept := _not_grown(trace, at)):
        yield MechanismIdle(
            expected=f"a scale that grows before step {at}, and overflows there",
            seen=f"step {at} skipped at a scale of {kept:g}, as before",
            where="the gradient scaler",
            cause="the scale grows at another interval, and this step overflowed by itself",
        )


def _not_grown(trace: Trace, at: int) -> float | None:
    """The scale at a step, if the step before was seen and did not raise it."""
    updates = {event["step"]: event for event in trace.of("scaler_update")}
    before = updates.get(at - 1)
    return float(before["after"]) if before and not float(before["after"]) > float(before["before"]) else None


def _accumulation(intent: Intent, trace: Trace) -> Iterator[Finding]:
    if intent.mechanisms.accumulation_as_seen:
        return
    wanted = intent.mechanisms.micro_batches
    backwards: dict[int, int] = {}
    for event in trace.of("backward"):
        backwards[event["step"]] = backwards.get(event["step"], 0) + 1
    if wrong := {step: number for step, number in backwards.items() if number != wanted(step)}:
        step, number = next(iter(wrong.items()))
        yield MechanismIdle(
            expected=f"backward passes of that step: {wanted(step)}",
            seen=f"{number} at step {step}" + (f", and {len(wrong) - 1} more such steps" if len(wrong) > 1 else ""),
            where="the training loop",
            cause="steps are counted from one where the condition expects nought, or are made at another interval",
        )


def _checkpointing(intent: Intent, trace: Trace) -> Iterator[Finding]:
    recomputed = any(event.get("recomputed") for event in trace.of("backward"))
    if intent.mechanisms.checkpointing and not recomputed:
        yield MechanismIdle(
            expected="layers recomputed during backward",
            seen="none",
            where="the first backward",
            cause="checkpointing was turned on and did not reach the layers that run",
        )


def _clipping(intent: Intent, trace: Trace) -> Iterator[Finding]:
    wanted = intent.mechanisms.clip_norm
    if wanted is None:
        return
    clipped = {event["step"] for event in trace.of("clip") if event["max_norm"] == wanted}
    steps = trace.effective_steps if intent.mechanisms.zero else trace.steps  # DeepSpeed clips no step that it skips
    if missing := [step["step"] for step in steps if step["step"] not in clipped]:
        yield MechanismIdle(
            expected=f"gradients clipped to norm {wanted:g} before every step",
            seen=f"not before {len(missing)} of {len(steps)} steps, first {missing[0]}",
            where="the training loop",
        )


def _adapters(intent: Intent, trace: Trace) -> Iterator[Finding]:
    if intent.adapter is None:
        return
    prompts = intent.adapter.method in PROMPTS
    there = any(p.role == "adapter" for p in trace.parameters) if prompts else (trace.model or {}).get("adapters")
    if not there:
        expected = "an encoder of prompts" if prompts else f"layers with a {intent.adapter.method} adapter"
        yield MechanismIdle(expected=expected, seen="none", where="the model")


def _sharding(intent: Intent, trace: Trace) -> Iterator[Finding]:
    if trace.inventory is None or intent.save.what == "nothing":
        return
    shards = {facts["file"] for facts in trace.inventory["tensors"].values()}
    if len(shards) < intent.save.at_least_shards:
        yield MechanismIdle(
            expected=f"at least {intent.save.at_least_shards} weight files",
            seen=str(len(shards)),
            where="the saved directory",
            cause="the shard size is larger than the model",
        )
