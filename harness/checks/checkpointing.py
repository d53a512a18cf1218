"""Layers that are computed again in the backward pass get their gradients all the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.needs import Forwards, Need, Parameters
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import by_component, count, listed

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

CUT_OFF = (
    "checkpointing is reentrant, and gives nothing to a layer none of whose inputs wants a gradient: all before it is"
    " frozen"
)
WANT_GRADIENT = "model.enable_input_require_grads() before training, or use_reentrant: False"


class CutOff(Finding):
    """Layers that train and are recomputed from inputs that want no gradient: they get none, whatever the loss says."""


@dataclass(frozen=True)
class _Recomputes(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.mechanisms.checkpointing else Reason.NOTHING_RECOMPUTED


@check(
    "layers that train and are computed again in the backward pass have an input that wants a gradient",
    source="peft #2880, LLaVA: reentrant checkpointing over a frozen tower; adapters got no gradient, silently",
    needs=[Parameters, Forwards, _Recomputes()],
)
def recomputed_layers_reached(intent: Intent, trace: Trace) -> Iterator[Finding]:
    keys = (trace.naming.canonical(event["module"]) for event in cut_off(trace))
    for component, names in by_component((trace.naming.component(key), key) for key in keys).items():
        yield CutOff(
            expected=f"{component}: an input that wants a gradient, for every layer that trains",
            seen=f"none for {count(len(names), 'layer')}",
            where=listed(names),
            cause=CUT_OFF,
            do=WANT_GRADIENT,
        )


def cut_off(trace: Trace) -> list[dict[str, str]]:
    """The layers that train and were to be recomputed from inputs of which none wants a gradient."""
    return [event for event in trace.of("cut_off") if event["trains"]]
