"""What requires no gradient stays, what trains moves, and what trains was used."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from harness.checks.movement import FEWEST_CHANGED, HALF_ULP
from harness.checks.precision_seen import HALF
from harness.checks.universal.models import Model, models_of
from harness.checks.universal.registry import Absent, universal
from harness.result import Finding, Severity
from harness.wording import count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Record, Trace

LOOKED = ("parameters", "steps")


class FrozenStepped(Finding):
    """Parameters that require no gradient and that an optimizer has written into."""


class FrozenWritten(Finding):
    """Parameters that require no gradient and that something wrote into at some steps."""


class TrainedStill(Finding):
    """Parameters that got gradients, are in an optimizer, and stayed as they were."""


class LostToRounding(Finding):
    """Weights in 16 bits of which most elements that have a gradient round back to what they were."""


class NeverUsed(Finding):
    """Parameters in an optimizer that no loss has ever reached."""


def _something_frozen(trace: Trace) -> Absent | None:
    frozen = any(not all(model.trains) for model in models_of(trace)) or any(map(_stepped_frozen, trace.steps))
    return None if frozen else Absent.NOTHING_FROZEN


def _stepped_frozen(step: Record) -> list[Any]:
    """What was written into within a step though it required no gradient then: model and index."""
    return list(step.get("frozen_stepped", ()))


@universal(
    "what requires no gradient did not change",
    source="LLaVA #1647, MGM: towers trained that were meant to be frozen",
    areas=LOOKED,
    about=_something_frozen,
    covers="frozen_parameters_unchanged",
)
def frozen_stays(trace: Trace) -> Iterator[Finding]:
    stepped = {(model, index) for step in trace.steps for model, index in _stepped_frozen(step)}
    for model in models_of(trace):
        frozen = [index for index in model if not model.trains[index]]
        moved = [index for index in frozen if (model.ident, index) in stepped and any(model.changed(index))]
        moved = [index for index in moved if model.holders(index)] + _frozen_later(model)
        if moved:
            yield _not_frozen(
                FrozenStepped,
                model,
                moved,
                "moved by an optimizer",
                cause="the optimizer holds them, and a gradient or weight decay was left to apply",
                do="give the optimizer those parameters alone that require a gradient",
            )
        # An average of the weights, which is kept by hand, moves at every step; what moves now and then was written to.
        steps = [step for step in model.steps if not step["skipped"]]
        written = [i for i in frozen if i not in moved and 0 < sum(map(bool, model.changed(i))) < len(steps) - 1]
        if merged := [index for index in written if _merged(trace, model, index)]:
            yield _not_frozen(
                FrozenWritten,
                model,
                merged,
                "under an adapter changed between steps",
                cause="the adapter was merged into them and taken out again: what is left is rounded, each time anew",
                do="keep a copy of the weights for the time of merging, and put that back",
                severity=Severity.WARNING,
            )
        written = [index for index in written if index not in merged]
        if written and not all(_copies(model, index) for index in written):
            often = all(_regularly(model.changed(index)) for index in written)
            yield _not_frozen(
                FrozenWritten,
                model,
                written,
                "changed between steps, by no optimizer",
                cause="something writes into them: an initialisation, a load, or code that takes them for others",
                severity=Severity.WARNING if often else Severity.ERROR,
            )


def _not_frozen(kind: type[Finding], model: Model, indices: list[int], how: str, **more: Any) -> Finding:
    return kind(
        expected="parameters without requires_grad as they were",
        seen=f"{count(len(indices), 'parameter')} {how}",
        where=listed(map(model.name, indices)),
        **more,
    )


def _merged(trace: Trace, model: Model, index: int) -> bool:
    """Whether a parameter under an adapter changed at no other steps than those before which the adapter was merged."""
    changed = [at for at, elements in enumerate(model.changed(index)) if elements]
    return ".base_layer." in model.paths[index] and set(changed) <= _merges(trace, model)


def _merges(trace: Trace, model: Model) -> set[int]:
    """Of the steps that were looked at, those before which an adapter was merged since the last."""
    looked, found, at = set(map(id, model.steps)), set(), 0
    for event in trace.events:
        if event["kind"] == "merge":
            found.add(at)
        at += id(event) in looked
    return found


def _frozen_later(model: Model) -> list[int]:
    """What trained, was frozen, and is moved on by its optimizer: gradients of nought are gradients to a momentum."""
    moved = {
        index
        for step in model.steps
        for ident, index in _stepped_frozen(step)
        if ident == model.ident and model.trains[index] and step["values"][ident]["changed"][index]
    }
    return sorted(moved)


def _copies(model: Model, index: int) -> bool:
    """Whether a parameter is a copy of one that trains, brought up to date now and then: it began as that, or has been
    that at some time ever since."""
    later = model.prints(index) - {model.first[index]}
    return any(
        model.first[other] == model.first[index] or later <= model.prints(other)
        for other in model
        if model.trains[other] and model.shapes[other] == model.shapes[index]
    )


def _regularly(changed: list[int]) -> bool:
    """Whether it changes at equal distances, as what is merged into now and then: that may be meant."""
    steps = [step for step, count in enumerate(changed) if count]
    return len(steps) > 2 and len({then - now for now, then in itertools.pairwise(steps)}) == 1


@universal(
    "what trains moved",
    source="MiniCPM-V: a rate of 1e-6 on weights in bf16: trained, and nothing changed",
    areas=(*LOOKED, "gradients"),
    covers="trainable_parameters_moved",
)
def trained_moves(trace: Trace) -> Iterator[Finding]:
    for model in models_of(trace):
        held = [i for i in model if model.trains[i] and model.holders(i) and model.rate(i) > 0]
        reached = [i for i in held if any(norm for norm in model.norms(i)) and not _too_small(model, i)]
        half = [i for i in reached if model.dtypes[i] in HALF]
        still = [i for i in reached if i not in half and model.steps and not any(model.changed(i))]
        back = [
            i
            for i in reached
            if i not in (*half, *still)
            and model.last
            and model.last[i] == model.first[i]
            and not _at_its_bound(model, i)
        ]
        if still:
            yield TrainedStill(
                expected="parameters that have a gradient and a rate above zero move",
                seen=f"{count(len(still), 'parameter')} without one bit changed",
                where=listed(map(model.name, still)),
                cause="something puts the values back within the step, or the optimizer takes steps of nought",
            )
        if back:
            yield TrainedStill(
                expected="other values at the end than before training",
                seen=f"{count(len(back), 'parameter')} bit for bit as they began, though steps moved them",
                where=listed(map(model.name, back)),
                cause="something puts the values back after each step, or loads those from before over them",
            )
        lost = [i for i in half if model.steps and _rounded_away(model, i)]
        if lost:
            yield LostToRounding(
                expected="nearly all elements that have a gradient change at some step",
                seen=f"{sum(max(model.changed(i)) for i in lost)} of {_reached(model, lost)} do, in "
                f"{model.dtypes[lost[0]]}",
                where=listed(map(model.name, lost)),
                cause=f"the rate {model.rate(lost[0]):g} is below half a unit in the last place of the weights",
                do="keep fp32 master weights, or raise the rate",
            )


def _at_its_bound(model: Model, index: int) -> bool:
    """Whether it is a single number that each step moved to the same side of what it began as: one that is clamped, as
    a temperature is, comes back from there."""
    sizes = [float(step["values"][model.ident]["peak"][index]) - model.rms[index] for step in model.steps]
    return model.size(index) == 1 and (all(one >= 0 for one in sizes) or all(one <= 0 for one in sizes))


def _too_small(model: Model, index: int) -> bool:
    """Whether the gradient or the rate is too small to be seen in fp32 in any case: then there is nothing wrong."""
    largest = max((norm for norm in model.norms(index) if norm is not None), default=0.0)
    step = model.rate(index) * min(1.0, largest)
    return model.dtypes[index] not in HALF and step <= HALF_ULP.get(model.dtypes[index], 0.0) * model.rms[index]


def _rounded_away(model: Model, index: int) -> bool:
    reached = max((count for count in model.nonzeros(index) if count is not None), default=0.0)
    return max(model.changed(index), default=0) < FEWEST_CHANGED * reached


def _reached(model: Model, indices: Iterable[int]) -> int:
    return int(sum(max((n for n in model.nonzeros(i) if n is not None), default=0.0) for i in indices))


@universal(
    "what an optimizer holds is used by some loss",
    source="MiniCPM-V 4.6 trained with 0 of 53 vision tensors receiving gradient; its loss fell",
    areas=(*LOOKED, "gradients"),
    hears=True,
)
def trained_is_used(trace: Trace, intent: Intent) -> Iterator[Finding]:
    for model in models_of(trace):
        held = [
            i
            for i in model
            if model.trains[i]
            and model.holders(i)
            and model.norms(i)
            and intent.reaches(intent.naming.canonical(model.paths[i]))
        ]
        unused = [i for i in held if all(norm is None for norm in model.norms(i))]
        dead = {model.part(i) for i in held} - {model.part(i) for i in held if i not in set(unused)}
        for whole, indices in ((True, [i for i in unused if model.part(i) in dead]),
                               (False, [i for i in unused if model.part(i) not in dead])):  # fmt: skip
            if indices:
                yield NeverUsed(
                    expected="a gradient at some step for what an optimizer holds",
                    seen=f"{count(len(indices), 'parameter')} without, over {len(trace.effective_steps)} steps",
                    where=listed(map(model.name, indices)),
                    cause="detached from the loss, run without gradient, or never called"
                    if whole
                    else "layers behind the one whose output is taken, or branches that no sample came to",
                    severity=Severity.ERROR if whole else Severity.WARNING,
                )
