"""The gradient scaler is on exactly where it is of use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.needs import Parameters
from harness.checks.precision_seen import ComputeDtypes, compute_dtype, scaler_was_on, trained_dtypes
from harness.checks.registry import check
from harness.checks.scaler_rules import BY_NAME, rules_that_fit
from harness.result import Finding, Severity

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class ScalerMissing(Finding):
    """fp16 over fp32 weights without a gradient scaler: small gradients become zero, large ones infinite."""


class ScalerUnneeded(Finding):
    """A gradient scaler where there is no fp16, or nothing to unscale into."""


class ScalerUseless(Finding):
    """A gradient scaler under bf16, whose range is that of fp32: harmless, and of no use."""


@check(
    "the gradient scaler is on exactly for fp16 over fp32 weights",
    source="minimind #45: enabled=(dtype == dtype) is always true, and off by default under fp16 in its LoRA script",
    needs=[Parameters, ComputeDtypes],
)
def scaler_on_exactly_for_fp16(intent: Intent, trace: Trace) -> Iterator[Finding]:
    dtype, on, trained = compute_dtype(trace), scaler_was_on(trace), trained_dtypes(trace)
    masters = "float32" in trained or "float32" in _masters(trace)
    fits = f"rules that fit: {rules_that_fit([(dtype, on)])}"
    if dtype == "float16" and masters and not on and not _weights_are_half(trace):
        yield ScalerMissing(
            expected="a gradient scaler that is on: the model computes in float16 over float32 weights",
            seen=f"{'one that is off' if trace.of('scaler') else 'none'}; {fits}",
            where="the training loop",
            cause="the condition does not look at the dtype that autocast really uses",
            do="enabled=(dtype == torch.float16), of the dtype given to autocast",
        )
    elif dtype == "bfloat16" and on and not _declared(intent):
        yield ScalerUseless(
            expected="no gradient scaler: bfloat16 has the range of float32",
            seen=f"one that is on; {fits}",
            where="the training loop",
            cause="the condition counts bfloat16 among the dtypes that overflow",
            do="enabled=(dtype == torch.float16), or say loss_scaler: {rule: fp16-and-bf16} in the recipe",
            severity=Severity.WARNING,
        )
    elif on and (dtype == "float32" or (dtype == "float16" and not masters)):
        yield ScalerUnneeded(
            expected="no gradient scaler"
            + (": nothing is computed in 16 bits" if dtype == "float32" else ": there are no float32 weights"),
            seen=f"one that is on; {fits}",
            where="the training loop",
            cause="the condition does not look at the dtype that autocast really uses",
            do="enabled=(dtype == torch.float16), of the dtype given to autocast",
        )


def _masters(trace: Trace) -> list[str]:
    """The dtypes of what DeepSpeed's optimizer steps in place of the weights."""
    return next((list(made.get("masters") or ()) for made in trace.of("deepspeed")), [])


def _weights_are_half(trace: Trace) -> bool:
    """Whether what an adapter sits on is itself in fp16: then only the adapter could be unscaled into."""
    return any(parameter.dtype == "float16" for parameter in trace.parameters)


def _declared(intent: Intent) -> bool:
    rule = intent.mechanisms.scaler_rule
    return rule is not None and BY_NAME[rule].enables("bfloat16")
