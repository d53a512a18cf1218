"""Losses, gradients and weights are numbers, and a gradient scaler is where it is of use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.precision_seen import HALF, compute_dtype, scaler_was_on
from harness.checks.scaler import scaler_on_exactly_for_fp16
from harness.checks.universal.models import models_of
from harness.checks.universal.registry import NOBODYS, Absent, universal
from harness.result import Finding
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.trace.reader import Record, Trace


class LossNotANumber(Finding):
    """A loss that is NaN or infinite."""


class GradientNotANumber(Finding):
    """A gradient with NaN or infinity in it that an optimizer applied."""


class WeightNotANumber(Finding):
    """Parameters with NaN or infinity in them."""


class NothingLearned(Finding):
    """A batch in which every label is masked."""


def _backward(trace: Trace) -> Absent | None:
    known = any(event["value"] is not None for event in trace.of("backward"))
    return None if known else Absent.NO_BACKWARD


@universal(
    "every loss is finite",
    source="MiniCPM-V #212: loss 1.08, then 0.0 and nan",
    areas=("gradients", "forwards"),
    about=_backward,
    covers="losses_finite",
)
def losses_are_numbers(trace: Trace) -> Iterator[Finding]:
    rank: Trace
    for rank in trace.ranks:
        skipped = {step["step"] for step in rank.steps if step["skipped"]}
        bad = [e for e in rank.of("backward") if e["value"] is not None and not _finite(e["value"])]
        for event in [event for event in bad if event["step"] not in skipped][:1]:
            yield LossNotANumber(
                expected="a finite loss at every backward pass",
                seen=f"{event['value']}, at {count(len(bad), 'micro-batch')}",
                where=f"{_process(trace, rank)}step {event['step']}, micro-batch {event['micro']}",
                cause="overflow, a batch whose labels are all masked, a division by zero, or a rate that is too high",
            )


@universal(
    "every gradient that is applied is finite, and so are the weights",
    source="MiniCPM-V #212: grad_norm nan",
    areas=("parameters", "gradients"),
    covers="gradients_finite",
)
def gradients_are_numbers(trace: Trace) -> Iterator[Finding]:
    applied = {(step["optimizer"], step["step"]) for step in trace.effective_steps}
    for event in trace.gradients("optimizer"):
        bad = [norm for norm in event["norm"] if norm is not None and not _finite(norm)]
        if bad and (event.get("optimizer"), event["step"]) in applied:
            yield GradientNotANumber(
                expected="finite gradients at the optimizer",
                seen=f"{count(len(bad), 'gradient')} with NaN or infinity",
                where=f"step {event['step']}",
                cause="overflow in the backward pass, or the square root or logarithm of nought in the loss",
            )
            break
    for model in models_of(trace):
        peaks = model.steps[-1]["values"][model.ident]["peak"] if model.steps else []
        seen_last = {index for index, peak in enumerate(peaks) if not _finite(peak)}
        at_end = {n for one in trace.of("final") if one["model"] == model.ident for n in one.get("not_finite", ())}
        if bad_ones := sorted(seen_last | at_end):
            yield WeightNotANumber(
                expected="finite weights",
                seen=f"{count(len(bad_ones), 'parameter')} with NaN or infinity after the last step",
                where=listed(map(model.name, bad_ones)),
                cause="a step with a gradient or a rate that is no number",
            )


def _half(trace: Trace) -> Absent | None:
    dtypes = {dtype for model in models_of(trace) for dtype in model.dtypes}
    seen = any(event.get("dtypes") for event in trace.of("forward"))
    computed = compute_dtype(trace) if seen else "float32"
    return None if computed in HALF or dtypes & set(HALF) or scaler_was_on(trace) else Absent.NO_HALF


@universal(
    "the gradient scaler is on exactly for fp16 over fp32 weights",
    source="minimind #45: enabled=(dtype == dtype) is always true, and off by default under fp16 in its LoRA script",
    areas=("parameters", "forwards"),
    about=_half,
    covers="scaler_on_exactly_for_fp16",
)
def scaler_fits(trace: Trace) -> Iterator[Finding]:
    if any(event.get("dtypes") for event in trace.of("forward")):
        yield from scaler_on_exactly_for_fp16(NOBODYS, trace)


def _labels(trace: Trace) -> Absent | None:
    return None if _labelled(trace) else Absent.NO_LABELS


def _labelled(trace: Trace) -> list[Record]:
    return [event for event in (*trace.of("forward"), *trace.of("backward")) if event.get("labels") is not None]


@universal(
    "every batch has labels that count",
    source="MGM #83: a wrong template masks every label, and the loss is of nothing",
    areas=("forwards",),
    about=_labels,
    covers="labels_present",
)
def labels_count(trace: Trace) -> Iterator[Finding]:
    empty = [event for event in _labelled(trace) if event["labels"] == 0]
    for event in empty[:1]:
        yield NothingLearned(
            expected="a label that counts in every batch",
            seen=f"none in {len(empty)} of {len(_labelled(trace))}",
            where=f"step {event['step']}, micro-batch {event['micro']}",
            cause="the prompt template and the masking rule disagree, or answers were cut off",
        )


def _finite(value: Any) -> bool:
    return math.isfinite(float(value))


def _process(trace: Trace, rank: Trace) -> str:
    return f"process {rank.rank}, " if trace.others else ""
