"""What a run really computed in, and whether a gradient scaler was on: worked out from the trace alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Need

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

HALF = ("float16", "bfloat16")


def dtypes_by_kind(trace: Trace) -> dict[str, list[str]]:
    """The dtypes that each kind of layer gave in the first training forward; empty where they were not recorded."""
    return next((event["dtypes"] for event in trace.of("forward") if event.get("dtypes")), {})


def multiplies(kind: str) -> bool:
    """Whether a kind of layer is one that autocast computes in 16 bits: a linear layer, a convolution, attention.

    peft's DoraLinearLayer is none: it scales what a linear layer gave by magnitudes, which stay in fp32.
    """
    linear = "Linear" in kind and not kind.startswith("Dora")
    return linear or kind.startswith("Conv") or kind == "MultiheadAttention"


def compute_dtype(trace: Trace) -> str:
    """The dtype that the layers of matrix products computed in: a 16-bit one if any did, of all layers if none is such.

    Autocast for a device that the machine lacks turns itself off: then what was asked for stands.
    """
    by_kind = dtypes_by_kind(trace)
    products = {dtype for kind, dtypes in by_kind.items() if multiplies(kind) for dtype in dtypes}
    found = products or {dtype for dtypes in by_kind.values() for dtype in dtypes}
    asked = [event["dtype"] for event in trace.of("autocast") if not event["enabled"]]
    effective = next((half for half in HALF if half in found), "float32")
    return asked[0] if asked and effective == "float32" else effective


def scaler_was_on(trace: Trace) -> bool:
    """Whether a gradient scaler was asked to be on: one for CUDA turns itself off where there is none."""
    return any(event["asked"] or event["enabled"] for event in trace.of("scaler"))


def trained_dtypes(trace: Trace) -> set[str]:
    """The dtypes of the parameters that train."""
    return {parameter.dtype for parameter in trace.parameters if parameter.requires_grad}


@dataclass(frozen=True)
class _ComputeDtypes(Need):
    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if dtypes_by_kind(trace) else "no compute dtypes were recorded"


ComputeDtypes = _ComputeDtypes()
