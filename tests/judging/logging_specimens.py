"""Specimens of what a run has logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judging.faultless_model import STEPS

Evidence = Any
Alteration = Callable[[Evidence], object]


def logged(*alterations: Callable[[dict[str, Any]], object]) -> Alteration:
    """The run has logged each step as it was, but for the alterations of the log."""

    def alter(e: Evidence) -> None:
        e.intent["mechanisms"]["logging"] = "tensorboard"
        steps = list(range(1, STEPS + 1))
        log = {
            "kind": "logged",
            "by": "tensorboard",
            "step": steps,
            "loss": [2.0] * STEPS,
            "learning_rate": [0.01] * STEPS,
        }
        e.events.insert(e.events.index(e.one("closing")), log)
        for one in alterations:
            one(log)

    return alter


def put(name: str, value: Any, at: int = 1) -> Callable[[dict[str, Any]], object]:
    return lambda log: log[name].__setitem__(at, value)


def loss_of_the_last_alone(e: Evidence) -> None:
    """The model gives no loss: it is computed from its output, and another in each micro-batch."""
    logged()(e)
    for event in e.all("forward"):
        event.pop("loss")
    for event in e.all("backward"):
        event["loss"] = 2.0 if event["micro"] else 3.0


def unseen(e: Evidence) -> None:
    logged(put("loss", 7.0))(e)
    for event in e.all("forward"):
        event.pop("loss")


def two_groups(e: Evidence) -> None:
    """The second group has a rate of its own."""
    logged()(e)
    for step in e.all("optimizer_step"):
        step["lr"] = [0.01, 0.02]


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "logged_values_equal_recorded": [
        ("OtherLossLogged", "the divided loss", logged(put("loss", 1.0))),
        ("OtherLossLogged", "twice what is allowed", logged(put("loss", 2.0 * (1 + 8 * 2.0**-24)))),
        ("OtherLossLogged", "no loss", logged(put("loss", None))),
        ("OtherLossLogged", "at two steps", logged(put("loss", 1.0, 0), put("loss", 1.0, 2))),
        ("OtherRateLogged", "another group's", logged(put("learning_rate", 0.02))),
        ("OtherRateLogged", "no rate", logged(put("learning_rate", None))),
        ("OtherStepsLogged", "counted from nought", logged(lambda log: log.update(step=[0, 1, 2]))),
        ("OtherStepsLogged", "nothing logged", logged(lambda log: log.update(step=[], loss=[], learning_rate=[]))),
        ("OtherStepsLogged", "many micro-batches", logged(lambda log: log.update(step=list(range(12))))),
    ],
}
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "logged_values_equal_recorded": [
        ("rounded to fp32 once more", logged(put("loss", 2.0 * (1 + 4 * 2.0**-24)))),
        ("nine digits of a rate", logged(put("learning_rate", 0.01 * (1 + 0.5e-8)))),
        ("the last micro-batch's loss", loss_of_the_last_alone),
        ("a loss that nothing was seen of", unseen),
        ("a second group of another rate", two_groups),
    ],
}
SETTINGS: dict[str, Alteration] = {"logged_values_equal_recorded": logged()}
