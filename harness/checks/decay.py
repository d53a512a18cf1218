"""Weight decay where it was asked for, and not on biases and norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.needs import Parameters, Steps
from harness.checks.registry import check
from harness.checks.steps_needs import DecayAsked
from harness.result import Finding
from harness.wording import by_component, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace


class DecayOnBiasOrNorm(Finding):
    """Biases or normalisation weights that weight decay pulls to zero."""


class WrongDecay(Finding):
    """Parameters with another weight decay than asked."""


@check(
    "weight decay is as asked, and zero for biases and norms",
    source="MGM, transformers: groups made by name, so that a renamed norm decays; DeepSpeed's JSON overrides them",
    needs=[Parameters, Steps(1), DecayAsked],
)
def weight_decay_as_declared(intent: Intent, trace: Trace) -> Iterator[Finding]:
    asked = intent.optimization.weight_decay if intent.optimization else None
    assert asked is not None
    held = list(decays(trace))
    spared = [(p, decay) for p, decay in held if is_spared(p, trace) and decay != 0]
    for component, keys in by_component((p.component, p.key) for p, _ in spared).items():
        yield DecayOnBiasOrNorm(
            expected=f"{component}: no weight decay on biases and norms",
            seen=f"{next(decay for p, decay in spared if p.component == component):g} on {len(keys)}",
            where=listed(keys),
            cause="the optimizer has one group for everything, or tells biases and norms by names they do not have",
        )
    wrong = [(p, decay) for p, decay in held if not is_spared(p, trace) and decay not in _allowed(p, asked)]
    for component, keys in by_component((p.component, p.key) for p, _ in wrong).items():
        yield WrongDecay(
            expected=f"{component}: weight decay {asked:g}",
            seen=f"{next(decay for p, decay in wrong if p.component == component):g} on {len(keys)}",
            where=listed(keys),
            cause="the optimizer's groups were given another decay, or a configuration overrides it",
        )


def _allowed(parameter: Parameter, asked: float) -> tuple[float, ...]:
    """A vector that is neither bias nor norm, such as the embedding of a class, decays by one custom and not by
    another."""
    return (asked,) if len(parameter.shape) > 1 else (asked, 0.0)


def is_spared(parameter: Parameter, trace: Trace) -> bool:
    """Whether the parameter is a bias by its name, or belongs to a normalisation by its module's class."""
    module, _, name = parameter.path.rpartition(".")
    kind = trace.modules.get(module, "").rpartition(".")[2].lower()
    return name.endswith("bias") or "norm" in kind


def decays(trace: Trace) -> Iterator[tuple[Parameter, float]]:
    """Each parameter in an optimizer with each decay it ever had there."""
    model = trace.described["model"]
    held = (
        (place[1], float(group.get("weight_decay", 0.0)))
        for event in trace.of("optimizer")
        for group in event["groups"]
        for place in group["parameters"]
        if place and place[0] == model
    )
    for index, decay in dict.fromkeys(held):
        yield trace.parameters[index], decay
