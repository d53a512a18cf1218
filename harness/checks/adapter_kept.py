"""Modules that train whole beside an adapter: a copy trains, the original stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from harness.checks.adapter_needs import KeptModules
from harness.checks.needs import AnAdapter, Parameters
from harness.checks.registry import check
from harness.result import Finding
from harness.wording import by_component, count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.parameter import Parameter
    from harness.trace.reader import Trace


class ModuleNotKept(Finding):
    """Parameters that should train beside the adapter and have no copy that an adapter's file would hold."""


class CopyFrozen(Finding):
    """Parameters of a kept copy that should train and do not."""


class ThawedInCopy(Finding):
    """Parameters that never train, and train in a kept copy."""


class OriginalTouched(Finding):
    """Originals of kept modules that train, or of which some bit changed."""


@check(
    "modules kept beside the adapter train in a copy, and their originals stay",
    source="MiniCPM-V 2.0: in peft's copy of the resampler its fixed pos_embed trains; peft #2936: the original thawed",
    needs=[AnAdapter, KeptModules, Parameters],
)
def kept_modules(intent: Intent, trace: Trace) -> Iterator[Finding]:
    def found(condition: Callable[[Parameter], bool]) -> Iterator[tuple[str, str, int]]:
        groups = by_component((p.component, p.key) for p in trace.parameters if condition(p))
        return ((component, listed(keys), len(keys)) for component, keys in groups.items())

    for component, where, number in found(lambda p: p.role == "base" and _should_train(intent, p)):
        yield ModuleNotKept(
            expected=f"{component}: a copy that trains, and is saved with the adapter",
            seen=f"{count(number, 'parameter')} without one",
            where=where,
            cause="modules_to_save names another module, or none",
        )
    for component, where, number in found(
        lambda p: p.role == "copy" and _should_train(intent, p) and not p.requires_grad
    ):
        yield CopyFrozen(
            expected=f"{component}: a copy that trains",
            seen=f"{count(number, 'parameter')} requiring no gradient",
            where=where,
            cause="the model was frozen again after the adapter came",
        )
    for component, where, number in found(
        lambda p: p.role == "copy" and intent.is_fixed(p.key) and (p.requires_grad or p.moved)
    ):
        yield ThawedInCopy(
            expected=f"{component}: fixed parameters fixed, in the copy too",
            seen=f"{count(number, 'parameter')} training",
            where=where,
            cause="peft sets every parameter of a module it copies to train",
            do="freeze it again in the copy: requires_grad_(False) on modules_to_save.default",
        )
    for component, where, number in found(lambda p: p.role == "original" and (p.requires_grad or p.moved)):
        yield OriginalTouched(
            expected=f"{component}: every bit of the original as before training",
            seen=f"{count(number, 'parameter')} changed, or set to train",
            where=where,
            cause="the optimizer holds the original too, or something wrote into it",
        )


def _should_train(intent: Intent, parameter: Parameter) -> bool:
    return intent.names_as_trained(parameter.key) and not intent.is_fixed(parameter.key)
