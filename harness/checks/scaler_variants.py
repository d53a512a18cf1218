"""The rule by which a trainer turns its gradient scaler on, found by running it at each precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.needs import ALONE, Need, Partner
from harness.checks.precision_seen import compute_dtype, dtypes_by_kind, scaler_was_on
from harness.checks.registry import check
from harness.checks.scaler_rules import BY_NAME, fitting
from harness.result import Finding, Reason

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class ScalerByWrongRule(Finding):
    """A gradient scaler that is turned on by another rule than the one that is meant, or by a wrong one."""


@dataclass(frozen=True)
class _Rule(Need):
    """The recipe says by which rule its trainer goes: only then are runs at the other precisions worth their time."""

    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.mechanisms.scaler_rule else Reason.NO_SCALER_RULE


def variant(precision: str) -> Partner:
    """One step of the recipe at a precision: when a scaler is on shows at the first forward."""
    changes: Mapping[str, Any] = {
        "precision": precision,
        "steps": 1,
        "optimizer.warmup_steps": 0,
        "interrupted_after": None,
        **ALONE,
    }
    return Partner(name=f"scaler_{precision}", changes=changes)


@check(
    "over fp32, bf16 and fp16 the gradient scaler follows the rule that is meant",
    source="minimind #45: `dtype == dtype`, then `in (float16, bfloat16)`, then right: one run cannot tell them apart",
    needs=[_Rule(), variant("fp32"), variant("bf16"), variant("fp16")],
)
def scaler_rule_over_precisions(
    intent: Intent, trace: Trace, scaler_fp32: Trace, scaler_bf16: Trace, scaler_fp16: Trace
) -> Iterator[Finding]:
    runs = {"float32": scaler_fp32, "bfloat16": scaler_bf16, "float16": scaler_fp16}
    pairs = [(compute_dtype(run) if dtypes_by_kind(run) else dtype, scaler_was_on(run)) for dtype, run in runs.items()]
    fits = fitting(pairs)
    meant = BY_NAME["fp16-and-bf16" if intent.mechanisms.scaler_rule == "fp16-and-bf16" else "fp16"]
    if meant not in fits:
        on = [dtype for dtype, enabled in pairs if enabled]
        yield ScalerByWrongRule(
            expected=str(meant),
            seen=f"{fits[0] if fits else 'no rule that is known'}: on under {', '.join(on) or 'none of them'}",
            where="runs at fp32, bf16 and fp16",
            cause="the condition does not look at the dtype that autocast really uses",
            do="enabled=(dtype == torch.float16), of the dtype given to autocast",
        )
