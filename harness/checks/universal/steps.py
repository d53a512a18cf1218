"""What happens at each step: gradients of its own, in their order, as many micro-batches as before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.accumulation import mean_loss
from harness.checks.universal.registry import Absent, universal
from harness.result import Finding, Severity
from harness.wording import count

if TYPE_CHECKING:
    from harness.trace.reader import Record, Trace

ROUNDING = 1e-3  # relative, of a loss that is computed in 16 bits: 2**-8 is its last place, shares are 1/2 and smaller


class StaleGradients(Finding):
    """Steps that apply gradients of steps before."""


class GradientsLost(Finding):
    """Gradients that were zeroed before any optimizer stepped with them."""


class StepOutOfOrder(Finding):
    """Something that a step does before what it has to come after."""


class OtherShare(Finding):
    """A loss divided by another number than the micro-batches that its step has."""


def _stepped_twice(trace: Trace) -> Absent | None:
    optimizers = [step["optimizer"] for step in trace.effective_steps]
    return None if len(optimizers) > len(set(optimizers)) else Absent.ONE_STEP


@universal(
    "each step begins with gradients of nought, and loses none",
    source="accumulating over steps instead of within one; zero_grad inside the accumulation loop",
    areas=("gradients",),
    about=_stepped_twice,
    covers="gradients_zeroed_once_per_step",
)
def gradients_fresh(trace: Trace) -> Iterator[Finding]:
    for optimizer in dict.fromkeys(step["optimizer"] for step in trace.steps):
        steps = [step for step in trace.steps if step["optimizer"] == optimizer]
        stale = [step for step in steps if step.get("fresh") is False]
        if stale:
            yield StaleGradients(
                expected="gradients zeroed between two steps",
                seen=f"not before {count(len(stale), 'step')} of {len(steps)}",
                where=f"{optimizer}, first at step {stale[0]['step']}",
                cause="zero_grad is missing, or zeroes another optimizer's parameters",
            )
        # A step that is given up, as for too large a gradient, and a rest of batches that makes none, are meant.
        if 2 * len(lost := [step for step in steps if step.get("lost")]) > len(steps):
            yield GradientsLost(
                expected="gradients zeroed after a step, not before it",
                seen=f"{sum(step['lost'] for step in lost)} of the backward passes without effect",
                where=f"{optimizer}, first at step {lost[0]['step']}",
                cause="zero_grad runs once per micro-batch, so that only the last one counts",
            )


# What has to come first, of each pair, wherever both are in a step.
ORDER = (
    ("unscale", "clip", "unscaling", "clipping"),
    ("clip", "optimizer_step", "clipping", "the optimizer's step"),
    ("backward", "optimizer_step", "a backward pass", "the optimizer's step"),
    ("optimizer_step", "scaler_update", "the optimizer's step", "the scaler's update"),
    ("optimizer_step", "scheduler_step", "the optimizer's step", "the schedule's step"),
)


@universal(
    "backward, unscale, clip, optimizer, scaler and schedule come in this order",
    source="clipping of scaled gradients; a schedule that steps before the optimizer, or at each micro-batch",
    areas=("gradients",),
    covers="events_in_order",
)
def steps_in_order(trace: Trace) -> Iterator[Finding]:
    for early, late, first, then in ORDER:
        wrong = [step for step, kinds in _by_step(trace).items() if _before(kinds, late, early)]
        if wrong:
            yield StepOutOfOrder(
                expected=f"{first}, then {then}",
                seen=f"{then} came first, at {count(len(wrong), 'step')}",
                where=f"step {wrong[0]}",
                cause="the lines of the training loop, or what a trainer calls inside them, are in another order",
            )


def _by_step(trace: Trace) -> dict[int, list[str]]:
    kinds: dict[int, list[str]] = {}
    for event in trace.events:
        if "step" in event and not event.get("initial") and event.get("enabled", True):
            if event.get("in_backward"):  # one optimizer for each parameter, which steps as its gradient is there
                continue
            kinds.setdefault(event["step"], []).append(event["kind"])
    return {step: found for step, found in kinds.items() if "optimizer_step" in found}


def _before(kinds: list[str], late: str, early: str) -> bool:
    """Whether the one that should be later came before any of the other, which is there too."""
    return late in kinds and early in kinds and kinds.index(late) < kinds.index(early)


def _accumulates(trace: Trace) -> Absent | None:
    optimizers = {step["optimizer"] for step in trace.steps}
    known = len(optimizers) == 1 and _micro_batches(trace) > 1
    return None if known and len(list(_shares(trace))) > 1 else Absent.NO_ACCUMULATION


def _micro_batches(trace: Trace) -> int:
    """How many backward passes a step has: all but a few, which are the last of an epoch and have what is left."""
    counts = Counter(step["backwards"] for step in trace.effective_steps if "backwards" in step)
    usual, times = max(counts.items(), key=lambda one: one[1], default=(0, 0))
    if not 2 * times > counts.total() or usual < max(counts):
        return 0
    # Several losses of one forward pass are no micro-batches.
    called = Counter((event["step"], event.get("model")) for event in trace.of("forward") if event["training"])
    return int(usual) if not called or max(called.values()) >= usual else 0


def _shares(trace: Trace) -> Iterator[tuple[Record, float]]:
    """Each backward pass with the part of its micro-batch's loss that it began with, in steps that have all theirs."""
    losses: dict[tuple[int, int], Any] = {
        (event["step"], event["micro"]): mean_loss(event) for event in trace.of("forward") if event["training"]
    }
    scaled = any(event.get("enabled") for event in trace.of("scaler"))
    whole = {step["step"] for step in trace.effective_steps if step.get("backwards") == _micro_batches(trace)}
    for event in [] if scaled else trace.of("backward"):
        given = losses.get((event["step"], event["micro"]))
        loss = event.get("loss") if given is None else given
        if event["step"] in whole and loss and event["value"] is not None and float(loss) == float(loss):
            yield event, float(event["value"]) / float(loss)


@universal(
    "a loss is divided by as many micro-batches as its step has",
    source="transformers #35438: gradients N times too large under accumulation over N",
    areas=("gradients", "forwards"),
    about=_accumulates,
    covers="accumulation_divides",
)
def accumulation_consistent(trace: Trace) -> Iterator[Finding]:
    micro = _micro_batches(trace)
    shares = [(event, share) for event, share in _shares(trace)]
    whole = [1 / share for _, share in shares if share > 0]
    # Only whole numbers are a count of micro-batches: else the loss was made of more than what is seen of it.
    counts = {round(one) for one in whole if abs(one - round(one)) <= ROUNDING * one}
    if len(whole) == len(shares) and len(counts) == 1 and all(abs(w - round(w)) <= ROUNDING * w for w in whole):
        divided = counts.pop()
        if divided != micro:
            yield OtherShare(
                expected=f"a loss divided by {micro}, the micro-batches of each step",
                seen="not divided at all" if divided == 1 else f"divided by {divided}",
                where=f"step {shares[0][0]['step']}, micro-batch {shares[0][0]['micro']}, and all others",
                cause="the number in the loop and the number in the division are not the same",
                severity=Severity.WARNING if divided == 1 else Severity.ERROR,
            )
