"""Exactly the parameters that were meant to train are set to train."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.checks.expected import should_train
from harness.checks.needs import Parameters
from harness.checks.registry import check
from harness.checks.wording import by_component, count, listed
from harness.result import Finding

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


class WronglyTrainable(Finding):
    """Parameters that require a gradient and should be frozen."""


class WronglyFrozen(Finding):
    """Parameters that should train and require no gradient."""


@check(
    "exactly the intended parameters require a gradient, component by component",
    source="LLaVA #1647, MiniCPM-V #532: what a flag froze was not what its name said",
    needs=[Parameters],
)
def trainable_set_as_intended(intent: Intent, trace: Trace) -> Iterator[Finding]:
    thawed = [p for p in trace.parameters if p.requires_grad and not should_train(intent, p)]
    frozen = [p for p in trace.parameters if not p.requires_grad and should_train(intent, p)]
    for component, keys in by_component((p.component, p.key) for p in thawed).items():
        yield WronglyTrainable(
            expected=f"{component}: frozen here",
            seen=f"{count(len(keys), 'parameter')} requiring a gradient",
            where=listed(keys),
            cause="frozen before a module was created or replaced, or thawed again afterwards",
        )
    for component, keys in by_component((p.component, p.key) for p in frozen).items():
        yield WronglyFrozen(
            expected=f"{component}: trained here",
            seen=f"{count(len(keys), 'parameter')} requiring no gradient",
            where=listed(keys),
            cause="a later step froze the model again, or the flag names another part",
        )
