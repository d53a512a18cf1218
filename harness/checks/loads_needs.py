"""What the checks of composed starts need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Need
from harness.result import Reason

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace


@dataclass(frozen=True)
class _Loads(Need):
    """Files that are laid over a model; an intent that does not say whether there are any is judged by what is seen."""

    base: bool = True

    def refusal(self, intent: Intent) -> Reason | None:
        return Reason.NOTHING_LAID_OVER if intent.parts == () else None

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        if not trace.parameters:
            return "no model met an optimizer"
        return "no file was laid over the model" if intent.parts and not trace.of("load") else None


@dataclass(frozen=True)
class _Continued(Need):
    """An adapter that begins as an earlier run has saved it, whose file was listed."""

    base: bool = True

    def refusal(self, intent: Intent) -> Reason | None:
        if intent.adapter is None:
            return Reason.NO_ADAPTER
        return None if intent.adapter.continued else Reason.ADAPTER_NEW

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.header.get("adapter") else "the adapter that is continued was not listed"


Loads = _Loads()
Continued = _Continued()
