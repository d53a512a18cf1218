"""How it is trained: precision, gradient scaler, rates, schedule, accumulation, clipping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

Settings = dict[str, Any]
SHOWN_IN_16_BITS = {"pure-bf16": 2e-2, "pure-fp16": 5e-3}  # rates that are not lost to rounding


def precisions() -> SearchStrategy[str]:
    return st.sampled_from(["fp32", "bf16", "fp16", "pure-bf16", "pure-fp16"])


def scalers(precision: str) -> SearchStrategy[Settings]:
    """Only fp16 over fp32 weights has anything to be scaled; what begins low enough overflows at no step."""
    if precision != "fp16":
        return st.just({})
    return st.sampled_from([{"init_scale": 65536}, {}, {"init_scale": 1024, "backoff_factor": 0.25}])


@st.composite
def optimizers(draw: DrawFn, tune: Settings, precision: str) -> Settings:
    rate = SHOWN_IN_16_BITS.get(precision) or draw(st.sampled_from([1e-3, 2e-3]))
    schedule = draw(st.sampled_from(["constant", "linear", "cosine"]))
    chosen: Settings = {
        "learning_rate": rate,
        "schedule": schedule,
        "warmup_steps": draw(st.integers(0, 1)),
        "weight_decay": draw(st.sampled_from([0.0, 0.1])),
        "clip_norm": draw(st.sampled_from([1.0, None, 0.1])),
        "accumulation": draw(st.sampled_from([1, 2, 3])),
        "loss_average": draw(st.sampled_from(["micro-batch", "token"])),
    }
    if schedule != "constant":
        chosen["floor"] = draw(st.sampled_from([0.0, 0.1]))
    if precision == "pure-fp16":
        chosen["eps"] = 1e-4  # at 1e-8, AdamW divides by zero in fp16
    if own := draw(st.sampled_from([None, *sorted(tune)])):
        chosen["component_rates"] = {own: 2 * rate}
    return chosen
