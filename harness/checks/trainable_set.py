"""Exactly the parameters that were meant to train are set to train."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.expected import should_train
from harness.checks.needs import Parameters
from harness.checks.registry import check
from harness.checks.written import as_written
from harness.result import Finding
from harness.wording import by_component, count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class WronglyTrainable(Finding):
    """Parameters that require a gradient and should be frozen."""


class WronglyFrozen(Finding):
    """Parameters that should train and require no gradient."""


class ComponentOutsideModel(Finding):
    """A component that should train and of which the model has no parameter."""


@check(
    "exactly the intended parameters require a gradient, component by component",
    source="LLaVA #1647, MiniCPM-V #532: what a flag froze was not what its name said",
    needs=[Parameters],
)
def trainable_set_as_intended(intent: Intent, trace: Trace) -> Iterator[Finding]:
    thawed = [p for p in trace.parameters if p.requires_grad and not should_train(intent, p)]
    frozen = [p for p in trace.parameters if not p.requires_grad and should_train(intent, p)]
    for component, keys in by_component((p.component, p.key) for p in thawed).items():
        said = as_written(intent, trace, [p for p in thawed if p.component == component], "frozen")
        yield WronglyTrainable(
            expected=f"{component}: frozen here{said}",
            seen=f"{count(len(keys), 'parameter')} requiring a gradient",
            where=listed(keys),
            cause="frozen before a module was created or replaced, or thawed again afterwards",
        )
    for component, keys in by_component((p.component, p.key) for p in frozen).items():
        said = as_written(intent, trace, [p for p in frozen if p.component == component], "trainable")
        yield WronglyFrozen(
            expected=f"{component}: trained here{said}",
            seen=f"{count(len(keys), 'parameter')} requiring no gradient",
            where=listed(keys),
            cause="a later step froze the model again, or the flag names another part",
        )


@check(
    "every component that is to train has parameters in the model",
    source="OmniLMM: with tune_clip False the tower lies in a Python list, and parameters(), saves and to() miss it",
    needs=[Parameters],
)
def trained_components_in_model(intent: Intent, trace: Trace) -> Iterator[Finding]:
    whole = dict.fromkeys(component for pattern, component in intent.components if pattern in intent.trains)
    there = {p.key for p in trace.parameters}
    there |= {key for group in intent.ties if there & set(group) for key in group}
    held = {intent.naming.component(key) for key in there}
    for component in whole:
        if component not in held:
            yield ComponentOutsideModel(
                expected=f"{component}: trained here",
                seen="no parameter of it in the model",
                where=component,
                cause="a module that torch does not know of, such as one in a Python list (OmniLMM's tower with "
                "tune_clip False): parameters(), saves and to() miss it",
                do="make it an attribute of the model by itself (OmniLMM: tune_clip: true), or do not ask to train it",
            )
