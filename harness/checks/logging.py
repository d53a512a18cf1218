"""What a run has logged is what it did: loss, rate and step, as they lie in the log afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.accumulation import ROUNDINGS, auxiliary_losses, close, place
from harness.checks.movement import HALF_ULP
from harness.checks.needs import Closed, Need, Steps
from harness.checks.rates import NINE_DIGITS
from harness.checks.registry import check
from harness.result import Finding, Reason

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.trace.reader import Trace

# A logged number is written once more in fp32 than what it comes from; TensorBoard has no other.
WRITTEN = HALF_ULP["float32"]


class OtherStepsLogged(Finding):
    """A log with other steps than were made."""


class OtherLossLogged(Finding):
    """A logged loss that is not the one that the model gave."""


class OtherRateLogged(Finding):
    """A logged rate at which the step was not made."""


@dataclass(frozen=True)
class _Logs(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.mechanisms.logging else Reason.NOTHING_LOGGED

    def missing(self, intent: Intent, trace: Trace) -> str | None:
        return None if trace.of("logged") else "no log was read back"


@check(
    "what is logged is what was: the loss of a micro-batch as the model gave it, the rate of the step, and its number",
    source="MiniMind multiplies the divided loss back before it logs it; loops that do not log an N-th of it",
    needs=[Closed, Steps(1), _Logs()],
)
def logged_values_equal_recorded(intent: Intent, trace: Trace) -> Iterator[Finding]:
    logged = trace.of("logged")[0]
    numbers = [step["step"] + 1 for step in trace.steps]
    if logged["step"] != numbers:
        yield OtherStepsLogged(
            expected=f"steps {_few(numbers)}, counted from one",
            seen=_few(logged["step"]) or "none",
            where=f"the log of {logged['by']}",
            cause="the number is taken before or after the count goes on, or counts micro-batches",
        )
        return
    losses = _losses(trace, intent.mechanisms.auxiliary_loss)
    allowed = ROUNDINGS * HALF_ULP[intent.weights] + WRITTEN
    pairs = ((step, losses.get(step["step"]), value) for step, value in zip(trace.steps, logged["loss"], strict=True))
    known = [(step["step"], loss, value) for step, loss, value in pairs if loss is not None]
    for number, loss, value in [one for one in known if not _equal(one[2], one[1], allowed)][:1]:
        factor = f", {float(value) / loss:.6g} times that" if value is not None and loss else ""
        yield OtherLossLogged(
            expected=f"a loss of {loss:.9g}",
            seen=f"{'none' if value is None else format(float(value), '.9g')}{factor}",
            where=f"step {number}, in the log of {logged['by']}",
            cause="the loss was divided by the number of micro-batches for backward, and not multiplied back",
        )
    for step, value in zip(trace.steps, logged["learning_rate"], strict=True):
        rate = float(step["lr"][0])
        if not _equal(value, rate, NINE_DIGITS + WRITTEN):
            yield OtherRateLogged(
                expected=f"the first group's rate, {rate:.9g}",
                seen="none" if value is None else f"{float(value):.9g}",
                where=f"step {step['step']}, in the log of {logged['by']}",
                cause="it is another group's, or that of the step before or after",
            )
            return


def _losses(trace: Trace, with_auxiliary: bool) -> dict[int, float]:
    """The loss of the last micro-batch of each step: the one that the model gave, else the one computed from it.

    What keeps experts evenly loaded is a part of it where the trainer adds it.
    """
    auxiliary = auxiliary_losses(trace) if with_auxiliary else {}
    found: dict[int, float] = {}
    for event in trace.events:
        given: Any = event.get("loss") if event["kind"] in ("forward", "backward") else None
        if given is not None and event.get("training", True):
            beside = auxiliary.get(place(event), 0.0) if event["kind"] == "forward" else 0.0
            found[event["step"]] = float(given) + beside
    return found


def _equal(value: Any, expected: float, allowed: float) -> bool:
    return value is not None and close(float(value), expected, allowed)


def _few(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")
