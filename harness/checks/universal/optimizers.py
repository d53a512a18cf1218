"""Optimizers hold what trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.optimizer import LATE
from harness.checks.universal.models import Model, models_of
from harness.checks.universal.registry import universal
from harness.result import Finding, Severity
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.trace.reader import Trace


class MadeAfterOptimizer(Finding):
    """Parameters that train and were made, or put into the model, after its optimizer was."""


class ThawedForNobody(Finding):
    """Parameters that were thawed after their optimizer was built, have gradients, and that no optimizer holds."""


class LeftOut(Finding):
    """Parameters that require a gradient and that no optimizer holds, beside others that one does."""


class HeldTwice(Finding):
    """Parameters that several optimizers step in turn."""


@universal(
    "what trains is in an optimizer, once",
    source="an optimizer that was built before the adapter, or before the head was replaced: it trains nothing",
    areas=("parameters",),
    covers="optimizer_holds_trainables_once",
)
def optimizer_holds_trained_once(trace: Trace) -> Iterator[Finding]:
    for event in trace.of("late"):
        yield MadeAfterOptimizer(
            expected="every parameter that trains in an optimizer",
            seen=f"{count(len(event['parameters']), 'parameter')} in none: they came after it",
            where=listed(event["parameters"]),
            cause=LATE,
        )
    for model in models_of(trace):
        absent = [i for i in model if model.trains[i] and not model.holders(i)]
        late = [i for i in absent if model.paths[i] in model.late]
        if late:
            yield MadeAfterOptimizer(
                expected="every parameter that trains in an optimizer",
                seen=f"{count(len(late), 'parameter')} in none: they came after it",
                where=listed(map(model.name, late)),
                cause="the optimizer was built first, and an adapter, a new head or a wrapper came later",
                do="build the optimizer after the model is as it is to train",
            )
        thawed = [i for i in absent if i in model.thawed and any(model.norms(i))]
        if thawed:
            yield ThawedForNobody(
                expected="every parameter that is thawed in an optimizer",
                seen=f"{count(len(thawed), 'parameter')} with gradients, and in none",
                where=listed(map(model.name, thawed)),
                cause="the optimizer was given what required a gradient when it was built, and they did not then",
                do="thaw first, or optimizer.add_param_group when they are",
            )
        if left := [i for i in absent if i not in (*late, *thawed) and _beside_held(model, i)]:
            yield LeftOut(
                expected="every parameter that trains in an optimizer",
                seen=f"{count(len(left), 'parameter')} in none, beside others of the same layer that are in one",
                where=listed(map(model.name, left)),
                cause="filtered out by name, or by a rule that does not meet them",
                do="give it to the optimizer, or say requires_grad_(False)",
                severity=Severity.WARNING,
            )
        if twice := [i for i in model if _stepped_in_turn(trace, model.holders(i))]:
            yield HeldTwice(
                expected="every parameter stepped by one optimizer at a time",
                seen=f"{count(len(twice), 'parameter')} in several",
                where=listed(map(model.name, twice)),
                cause="overlapping lists of parameters, or optimizers that share a part of the model on purpose",
                severity=Severity.WARNING,
            )


def _beside_held(model: Model, index: int) -> bool:
    """Whether an optimizer holds another parameter of the same layer."""
    layer = model.paths[index].rpartition(".")[0]
    return any(model.holders(i) for i in model if model.paths[i].rpartition(".")[0] == layer and i != index)


def _stepped_in_turn(trace: Trace, optimizers: set[str]) -> bool:
    """Whether one of the optimizers stepped while another was not done: not one that came after the other's end."""
    if len(optimizers) < 2:
        return False
    order = [step["optimizer"] for step in trace.effective_steps if step["optimizer"] in optimizers]
    return len([one for one, before in zip(order, ["", *order], strict=False) if one != before]) > len(set(order))
