"""How it is trained: precision, gradient scaler, rates, schedule, accumulation, clipping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

Settings = dict[str, Any]
SHOWN_IN_16_BITS = {"pure-bf16": 2e-2, "pure-fp16": 5e-3}  # rates that are not lost to rounding
LOW_NORMS: dict[str, tuple[float, ...]] = {"pure-fp16": ()}  # beside an eps of 1e-4, gradients so small move nothing
LOW = {"init_scale": 1024}  # a scale that no step overflows from


def precisions() -> SearchStrategy[str]:
    return st.sampled_from(["fp32", "bf16", "fp16", "pure-bf16", "pure-fp16"])


def scalers(precision: str, engine: str, steps: int) -> SearchStrategy[Settings]:
    """By the precision, by a trainer's rule, or by a word; one that overflows at a step of its own choosing."""
    if engine == "deepspeed":  # which scales whatever is in fp16, and says how often it halves the scale before
        return st.just(LOW if precision.endswith("fp16") else {})
    ways: list[Settings] = [{}]
    if precision == "fp16":
        ways = [LOW, {}, {"init_scale": 512, "backoff_factor": 0.25}, {"rule": "fp16", **LOW}]
        ways += [{"growth_interval": 100}, {"enabled": "on", **LOW}]  # off, small gradients are lost, which is found
        ways += [{"overflow_at": at} for at in range(steps - 1) if at == 0 or steps <= 2 * at + 1]
    elif precision == "bf16" and engine == "torch":
        ways += [{"rule": "fp16-and-bf16", **LOW}, {"rule": "fp16", **LOW}, {"enabled": "off"}]
    return st.sampled_from(ways)


@st.composite
def optimizers(
    draw: DrawFn, trained: Sequence[str], precision: str, engine: str, averages: Sequence[str], method: str = ""
) -> Settings:
    """AdamW's settings. `trained` are components that may have a rate of their own, `averages` what a step's loss may
    be a mean over, `method` is an adapter's."""
    rate = SHOWN_IN_16_BITS.get(precision) or draw(st.sampled_from([1e-3, 2e-3]))
    schedule = draw(st.sampled_from(["constant", "linear", "cosine"]))
    chosen: Settings = {
        "learning_rate": rate,
        "schedule": schedule,
        "warmup_steps": draw(st.integers(0, 1)),
        "weight_decay": draw(st.sampled_from([0.0, 0.1])),
        "clip_norm": draw(st.sampled_from([1.0, None, *LOW_NORMS.get(precision, (0.1,))])),
        "accumulation": draw(st.sampled_from([1, 2, 3])),
        "loss_average": draw(st.sampled_from(averages)),
        "betas": draw(st.sampled_from([[0.9, 0.999], [0.9, 0.95]])),
    }
    if schedule != "constant":
        chosen["floor"] = draw(st.sampled_from([0.0, 0.1]))
    if precision == "pure-fp16":
        chosen["eps"] = 1e-4  # at 1e-8, AdamW divides by zero in fp16
    elif draw(st.booleans()):
        chosen["eps"] = 1e-6
    if _can_be_fused(precision, engine) and draw(st.booleans()):
        chosen["fused"] = True
    return {**chosen, **draw(_own_rates(trained, rate, method))}


def _own_rates(trained: Sequence[str], rate: float, method: str) -> SearchStrategy[Settings]:
    """Rates by component or factors by name, and most often neither. Not all methods call what they train a weight."""
    by_component = [{"component_rates": {one: 2 * rate}} for one in sorted(trained)]
    by_name = [{"rate_factors": {"weight": 2}}] if method in ("", "lora") else []
    return st.sampled_from([{}, {}, *by_name, *by_component])


def _can_be_fused(precision: str, engine: str) -> bool:
    """DeepSpeed makes the optimizer itself; under fp16 nobody tells the Trainer that a fused one has skipped a step
    (accelerate #4242)."""
    return engine == "torch" or (engine == "trainer" and precision != "fp16")
