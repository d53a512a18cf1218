"""Micro-batches add up to one step: each counts by its share, and those left at the end of the data count too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.data_rows import micro_batches
from harness.checks.movement import HALF_ULP
from harness.checks.needs import Steps
from harness.checks.registry import check
from harness.checks.steps_needs import BackwardValues, Optimized, RepeatedBatch, ShortGroup
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

# Between the recorded loss and what backward starts from lie the share, the product with it and the product with the
# scale, each rounded once to the loss's precision. A model may compute its loss in the precision of its weights.
ROUNDINGS = 3
# By how much of itself a loss may be off where layers compute in 16 bits: half a unit of their rounding. Measured over
# drawn recipes: 0.3 of one, of a loss that falls by 0.1 in fp32.
BLURRED = {short: HALF_ULP[short] / 2 for short in ("bfloat16", "float16")}


class LossNotDivided(Finding):
    """A backward that started from another value than the micro-batch's share of the step."""


class TailLost(Finding):
    """Micro-batches at the end of the data that were no step of their own."""


class LossDidNotFall(Finding):
    """A loss that is no lower after steps on one and the same batch."""


@check(
    "backward starts from the micro-batch's loss over the number of micro-batches",
    source="transformers #35438 and MiniMind's full_sft: gradients N times too large under accumulation over N;"
    " forwards with **kwargs that the Trainer leaves dividing to",
    needs=[Steps(1), Optimized, BackwardValues],
)
def accumulation_divides(intent: Intent, trace: Trace) -> Iterator[Finding]:
    allowed = ROUNDINGS * HALF_ULP[intent.weights]
    shares = list(shares_of(trace))
    auxiliary = auxiliary_losses(trace) if intent.mechanisms.auxiliary_loss else {}  # whether it is added is not asked
    wrong = []
    for event, loss, value in shares:
        share = share_of(intent, trace, event)
        expected, more = loss * share, auxiliary.get(place(event), 0.0) * share
        if math.isfinite(value) and not any(close(value, expected + part, allowed) for part in {0.0, more}):
            wrong.append((event, expected, value))
    for event, expected, value in wrong[:1]:
        factor = f", {value / expected:.6g} times that" if expected else ""
        yield LossNotDivided(
            expected=f"a share of {expected:.6g} of the step's loss",
            seen=f"{value:.6g}{factor}, at {len(wrong)} of {len(shares)} micro-batches",
            where=f"step {event['step']}, micro-batch {event['micro']}",
            cause="the loss is not divided by the number of micro-batches of its step, or twice, counts by another"
            " measure than its tokens, or is that of a step with fewer micro-batches than asked for",
        )


@check(
    "what is left at the end of the data is a step of its own",
    source="MiniMind: the last micro-batches, too few for a whole group, were dropped",
    needs=[Steps(1), ShortGroup],
)
def last_group_steps(intent: Intent, trace: Trace) -> Iterator[Finding]:
    seen: dict[int, int] = {}
    for event in trace.of("backward"):
        seen[event["step"]] = seen.get(event["step"], 0) + 1
    asked = intent.mechanisms
    short = [step["step"] for step in trace.steps if asked.micro_batches(step["step"]) < asked.accumulation]
    for step in [step for step in short if seen.get(step) != asked.micro_batches(step)][:1]:
        yield TailLost(
            expected=f"{asked.micro_batches(step)} of {asked.accumulation} micro-batches: the data end there",
            seen=f"{seen.get(step, 0)}",
            where=f"step {step}",
            cause="the loop steps at every Nth micro-batch only, and drops the rest or carries it over",
        )


@check(
    "the loss over a repeated batch falls",
    source="a model that learns anything learns one batch by heart; else a sign, a rate or a gradient is wrong",
    needs=[Steps(2, effective=True), Optimized, RepeatedBatch, BackwardValues],
)
def repeated_batch_is_learned(intent: Intent, trace: Trace) -> Iterator[Finding]:
    losses: dict[int, float] = {}
    for event, _, value in shares_of(trace):
        losses[event["step"]] = losses.get(event["step"], 0.0) + value
    first, last = losses[min(losses)], losses[max(losses)]
    blurred = BLURRED.get(intent.mechanisms.compute or "", 0.0)
    if last == first or not last < first * (1 + blurred):
        yield LossDidNotFall(
            expected=f"a loss below that of the first step, {first:.6g}",
            seen=f"{last:.6g} at step {max(losses)}",
            where="the same samples at every step",
            cause="nothing moves, it moves uphill, or the rate is too high",
        )


def share_of(intent: Intent, trace: Trace, event: dict[str, Any]) -> float:
    """By how much a micro-batch's loss should count: as each other one of its step, or by the tokens it learns."""
    if intent.mechanisms.loss_average == "micro-batch":
        return 1 / intent.mechanisms.micro_batches(event["step"])
    step = event["step"]
    learned = [{place(one): _tokens_learned(one) for one in micro_batches(each)} for each in trace.ranks]
    whole = sum(count for each in learned for (of_step, _), count in each.items() if of_step == step)
    # Gradients are averaged over the processes: each counts as many times as there are processes.
    return len(trace.ranks) * learned[0].get(place(event), 0) / whole if whole else 0.0


def _tokens_learned(micro: dict[str, Any]) -> int:
    learned = micro.get("learned")
    return sum(end - start for row in learned["stretches"] for start, end in row) if learned else 0


def shares_of(trace: Trace) -> Iterator[tuple[dict[str, Any], float, float]]:
    """Each backward with the loss of its micro-batch, and the value it started from without the gradient scale.

    The loss is the one that the model gave, else the one that was computed from its output; in either case the mean
    over what the micro-batch learns.
    """
    given = {place(event): mean_loss(event) for event in trace.of("forward") if event["training"]}
    scale = 1.0
    for event in trace.events:
        if event["kind"] == "scaler" and event["enabled"]:
            scale = float(event["init_scale"])
        elif event["kind"] == "scaler_update":
            scale = float(event["after"])
        elif event["kind"] == "scaler_loaded":
            scale = float(event["scale"])
        elif event["kind"] == "backward" and event["value"] is not None:
            loss = given.get(place(event))
            loss = event.get("loss") if loss is None else loss
            if loss is not None:
                yield event, float(loss), float(event["value"]) / scale


def mean_loss(forward: dict[str, Any]) -> float | None:
    """The loss that a model gave, as the mean over its own tokens: one that was told how many tokens the step learns
    has divided by those."""
    loss, items = forward["loss"], forward.get("items")
    own = _tokens_learned(forward) if items else 0
    return float(loss) * float(items) / own if loss is not None and items and own else loss


def auxiliary_losses(trace: Trace) -> dict[tuple[int, int], float]:
    """What the model gave beside its loss, by micro-batch."""
    forwards = (event for event in trace.of("forward") if event["training"])
    return {place(event): float(event["auxiliary"]) for event in forwards if event.get("auxiliary") is not None}


def close(value: float, expected: float, allowed: float) -> bool:
    return abs(value - expected) <= allowed * abs(expected)


def place(event: dict[str, Any]) -> tuple[int, int]:
    """The micro-batch that an event belongs to."""
    return event["step"], event["micro"]
