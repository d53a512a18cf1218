"""What should train moved, and by more than rounding lets through."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.checks.expected import gets_gradient, should_train
from harness.checks.needs import Parameters, SteppedInPlace, Steps
from harness.checks.optimizer_groups import rates_of
from harness.checks.rates import expected_rate
from harness.checks.registry import check
from harness.checks.written import as_written
from harness.result import Finding
from harness.wording import by_component, count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace

# Half a unit in the last place, relative to the value: the significands have 8, 11 and 24 bits.
HALF_ULP = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}
# What is left of a gradient that is zero by itself, as that of a key's bias in attention, where it is computed in 16
# bits: half a unit in the last place of what the others have. AdamW's eps rightly keeps it from moving anything.
RESIDUE = HALF_ULP["bfloat16"]
# AdamW moves every element that has a gradient by about its rate at each step, so nearly all should change.
FEWEST_CHANGED = 0.5


class NoGradient(Finding):
    """Parameters that train by declaration and never got a gradient."""


class DidNotMove(Finding):
    """Parameters that got gradients and stayed as they were."""


class TunedInVain(Finding):
    """A part of a component was chosen to train, and no gradient can reach any of it."""


class UpdateLostToRounding(Finding):
    """Steps so small that most elements round back to what they were."""


@check(
    "trainable parameters moved",
    source="MiniCPM-V 4.6 trained with 0 of 53 vision tensors receiving gradient; its loss fell",
    needs=[Parameters, Steps(1, effective=True)],
)
def trainable_parameters_moved(intent: Intent, trace: Trace) -> Iterator[Finding]:
    rates = rates_of(trace)
    waiting = _wait_for_second_step(trace)
    still = [p for p in _in_reach(intent, trace) if not p.moved and p.index not in waiting]
    unreached = [p for p in still if not _has_gradient(p, trace)]
    for component, keys in by_component((p.component, p.key) for p in unreached).items():
        said = as_written(intent, trace, [p for p in unreached if p.component == component], "trainable")
        yield NoGradient(
            expected=f"{component}: a gradient at some step{said}",
            seen=f"{count(len(keys), 'parameter')} without, over {count(len(trace.effective_steps), 'effective step')}",
            where=listed(keys),
            cause="detached from the loss, run without gradient, or never used by the forward",
        )
    unmoved = [p for p in still if _has_gradient(p, trace) and not _too_small_a_step(p, trace, rates)]
    unmoved = [p for p in unmoved if not (rates.get(p.index) and _only_residue(p, _in_reach(intent, trace), trace))]
    for component, keys in by_component((p.component, p.key) for p in unmoved).items():
        said = as_written(intent, trace, [p for p in unmoved if p.component == component], "trainable")
        yield DidNotMove(
            expected=f"{component}: changed by training{said}",
            seen=f"{count(len(keys), 'parameter')} with a gradient and not one bit changed",
            where=listed(keys),
            cause="no optimizer holds them, or their learning rate is zero",
        )
    yield from _in_vain(intent, trace)


def _in_vain(intent: Intent, trace: Trace) -> Iterator[Finding]:
    """Of whole components nothing is said: that some of a tower is beyond reach is how the model is made."""
    free = [p for p in trace.parameters if p.role in ("base", "copy") and not intent.is_fixed(p.key)]
    for component in dict.fromkeys(p.component for p in free):
        ours = [p for p in free if p.component == component]
        chosen = [p for p in ours if p.requires_grad and intent.names_as_trained(p.key)]
        # Where no sample has what the component sees, nothing of it is reached.
        if chosen and _any_reached(intent, ours) and not _any_reached(intent, chosen):
            yield TunedInVain(
                expected=f"{component}: some of what is tuned can be reached by a gradient",
                seen=f"{count(len(chosen), 'parameter')} tuned, and all of them beyond reach",
                where=listed([p.key for p in chosen]),
                cause="they lie above the layer whose features are taken, or nothing of them is used",
                do="tune layers below, or the whole component",
            )


@check(
    "steps are large enough for the weights' precision",
    source="bf16 weights, AdamW, rate 1e-6: 37 of 64 tensors changed, but 1.45 % of their elements",
    needs=[Parameters, Steps(1, effective=True), SteppedInPlace],
)
def updates_not_lost_to_rounding(intent: Intent, trace: Trace) -> Iterator[Finding]:
    rates = rates_of(trace)
    within = _in_reach(intent, trace)
    lost = [p for p in within if rates.get(p.index) and _rounded_away(p, trace) and not _only_residue(p, within, trace)]
    lost = [p for p in lost if not _was_large_before(p, intent, trace)]
    for component, keys in by_component((p.component, p.key) for p in lost).items():
        ours = [p for p in lost if p.component == component]
        elements = sum(p.elements_moved for p in ours)
        reached = sum(_elements_with_gradient(p, trace) for p in ours)
        yield UpdateLostToRounding(
            expected=f"{component}: nearly all elements that have a gradient change at a step",
            seen=f"{elements} of {reached} elements changed ({100 * elements / reached:.2f} %), in {ours[0].dtype}",
            where=listed(keys),
            cause=f"the learning rate {rates[ours[0].index]:g} is below half a unit in the last place of the weights",
            do="keep fp32 master weights, or raise the rate",
        )


def _any_reached(intent: Intent, parameters: Sequence[Parameter]) -> bool:
    return any(gets_gradient(intent, p) for p in parameters)


def _was_large_before(parameter: Parameter, intent: Intent, trace: Trace) -> bool:
    """Whether the process goes on where the schedule has come down, from a rate that the precision does show."""
    asked, before = intent.optimization, intent.effective_before
    if asked is None or not before:
        return False
    steps = intent.first_step + (intent.steps or len(trace.steps))
    rates = [expected_rate(asked, parameter.component, step, steps, parameter.key) for step in range(steps)]
    shown = HALF_ULP.get(parameter.dtype, 0.0) * float(trace.described["rms"][parameter.index])
    return max(rates[:before]) > max(shown, *rates[before:])


def _in_reach(intent: Intent, trace: Trace) -> list[Parameter]:
    return [p for p in trace.parameters if p.requires_grad and should_train(intent, p) and gets_gradient(intent, p)]


def _wait_for_second_step(trace: Trace) -> set[int]:
    """What an adapter multiplies with zeros at the first effective step: LoRA's A beside its B, LoKr's second factor
    beside its first. It has no gradient until those have moved."""
    if len(trace.effective_steps) != 1:
        return set()
    sizes = trace.described["rms"]
    added = [p for p in trace.parameters if p.role == "adapter" and p.requires_grad]
    with_zeros = {_carrier(p.path) for p in added if sizes[p.index] == 0}
    return {p.index for p in added if sizes[p.index] != 0 and _carrier(p.path) in with_zeros}


def _carrier(path: str) -> str:
    """The module that an adapter's parameter sits on: what comes after is its kind and the adapter's name."""
    return path.removesuffix(".weight").rsplit(".", 2)[0]


def _norms_at_optimizer(parameter: Parameter, trace: Trace) -> list[float]:
    """Of the gradients that the optimizer saw, without the steps where there was none; 'nan' counts as one."""
    values = (event["norm"][parameter.index] for event in trace.gradients("optimizer"))
    return [float(value) for value in values if value is not None]


def _has_gradient(parameter: Parameter, trace: Trace) -> bool:
    """Whether some gradient was other than zero; one that is not a number is another check's word."""
    return any(value != 0 for value in _norms_at_optimizer(parameter, trace))


def _elements_with_gradient(parameter: Parameter, trace: Trace) -> int:
    """The most at a step that took effect: what overflows, and is skipped, leaves no element zero."""
    taken = {step["step"] for step in trace.effective_steps}
    counts = [(event["step"], event["nonzero"][parameter.index]) for event in trace.gradients("optimizer")]
    return max((int(count) for step, count in counts if step in taken and count is not None), default=0)


def _rounded_away(parameter: Parameter, trace: Trace) -> bool:
    return parameter.elements_moved < FEWEST_CHANGED * _elements_with_gradient(parameter, trace)


def _typical_gradient(parameter: Parameter, trace: Trace) -> float:
    """Of an element that has a gradient, at the step with the largest."""
    norms = [value for value in _norms_at_optimizer(parameter, trace) if math.isfinite(value)]
    return max(norms, default=0.0) / math.sqrt(max(_elements_with_gradient(parameter, trace), 1))


def _only_residue(parameter: Parameter, within: Sequence[Parameter], trace: Trace) -> bool:
    """Whether its gradient is so much smaller than its component's that it may be what rounding left of zero."""
    of_component = [_typical_gradient(p, trace) for p in within if p.component == parameter.component]
    return _typical_gradient(parameter, trace) < RESIDUE * statistics.median(of_component)


def _too_small_a_step(parameter: Parameter, trace: Trace, rates: Mapping[int, float]) -> bool:
    """Whether an optimizer holds the parameter and its rate is below what its precision can show."""
    rms = trace.described["rms"][parameter.index]
    return 0 < rates.get(parameter.index, 0.0) <= HALF_ULP.get(parameter.dtype, 0.0) * float(rms)
