"""Clipping limits the norm of what the optimizer gets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.checks.movement import HALF_ULP
from harness.checks.needs import Parameters, Steps
from harness.checks.optimizer_groups import places_of
from harness.checks.registry import check
from harness.checks.steps_needs import Clips
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

# torch divides by the norm plus this.
ADDED_TO_THE_NORM = 1e-6
# In the gradients' precision torch rounds each tensor's norm, the whole norm, the factor and the products with it.
ROUNDINGS = 4
# Norms are recorded as sums in float32, whose error grows with the root of the number of elements: some 2^20 each.
RECORDED = 2.0**-24 * 2**10


class NormAboveLimit(Finding):
    """Gradients whose norm exceeds the limit when the optimizer steps."""


class NormAltered(Finding):
    """Gradients that were made smaller than the limit asks, or larger."""


@check(
    "the optimizer's gradients have at most the norm they are clipped to, and just that where they had more",
    source="clipping that is called and does nothing: of other parameters, before the last backward, or of scaled ones",
    needs=[Parameters, Steps(1, effective=True), Clips],
)
def clipping_effective(intent: Intent, trace: Trace) -> Iterator[Finding]:
    limit = intent.mechanisms.clip_norm or math.inf
    allowed = tolerance(intent, limit)
    found = list(_norms(trace))
    above = [(step, after) for step, _, after in found if after > limit * (1 + allowed)]
    for step, after in above[:1]:
        yield NormAboveLimit(
            expected=f"a gradient norm of at most {limit:g} at the optimizer",
            seen=f"{after:.6g}" + (f", and above it at {len(above) - 1} more steps" if len(above) > 1 else ""),
            where=f"step {step}",
            cause="other parameters were clipped than those in the optimizer, or they changed afterwards",
        )
    altered = [(step, min(before, limit), after) for step, before, after in found if after <= limit * (1 + allowed)]
    altered = [(step, wanted, after) for step, wanted, after in altered if abs(after - wanted) > allowed * wanted]
    for step, wanted, after in altered[:1]:
        yield NormAltered(
            expected=f"a gradient norm of {wanted:.6g} at the optimizer",
            seen=f"{after:.6g}" + (f", and off at {len(altered) - 1} more steps" if len(altered) > 1 else ""),
            where=f"step {step}",
            cause="clipped more than once, to another norm, or each parameter by itself",
        )


def tolerance(intent: Intent, limit: float) -> float:
    """How far a clipped norm may be from its limit, relative to it, by rounding alone."""
    return ADDED_TO_THE_NORM / limit + RECORDED + ROUNDINGS * HALF_ULP[intent.weights]


def _norms(trace: Trace) -> Iterator[tuple[int, float, float]]:
    """Of each effective step, the norm of all gradients in an optimizer before clipping and when it stepped."""
    held = places_of(trace)
    whole: dict[int, float] = {}
    effective = {step["step"] for step in trace.effective_steps}
    for event in trace.of("gradients"):
        norm = _total(event, held)
        if event["moment"] != "optimizer":
            whole[event["step"]] = norm
        elif event["step"] in effective and event["step"] in whole:
            before = whole[event["step"]]
            if math.isfinite(before) and math.isfinite(norm):
                yield event["step"], before, norm


def _total(event: dict[str, Any], held: Mapping[int, Any]) -> float:
    norms = [float(norm) for index, norm in enumerate(event["norm"]) if norm is not None and index in held]
    return math.sqrt(sum(norm * norm for norm in norms))
