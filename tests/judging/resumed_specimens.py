"""Specimens of a run that was interrupted, and of the one that nothing interrupts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judging.equivalence_specimens import agrees, other_data

Evidence = Any
Alteration = Callable[[Evidence], object]


def resumed(*alterations: Alteration, after: int = 0) -> Alteration:
    """The run took the steps from one on; the alterations are of the run that nothing interrupts."""

    def alter(e: Evidence) -> None:
        e.intent["first_step"] = after
        for step in e.all("optimizer_step"):
            step["rng"] = f"random-{step['step']}"
        agrees("uninterrupted", *alterations)(e)
        e.events = [event for event in e.events if event.get("step", after) >= after]

    return alter


def at_step(kind: str, step: int, **other: Any) -> Alteration:
    def alter(e: Evidence) -> None:
        for event in e.all(kind):
            if event["step"] == step:
                event.update(other)

    return alter


def scale_after(step: int, scale: float) -> Alteration:
    return at_step("scaler_update", step, after=scale)


def no_second_step(e: Evidence) -> None:
    e.events = [event for event in e.events if event.get("step") != 2]


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "resumed_equals_uninterrupted": [
        ("ResumedElsewhere", "other samples", resumed(at_step("forward", 1, samples=["?", "?"], loss=1.0))),
        ("ResumedElsewhere", "another rate", resumed(at_step("optimizer_step", 2, lr=[0.02], state="?"))),
        ("ResumedElsewhere", "another scale", resumed(scale_after(1, 8.0), at_step("backward", 1, value=2.0))),
        (
            "ResumedElsewhere",
            "other random numbers",
            resumed(at_step("optimizer_step", 1, rng="?"), at_step("forward", 1, loss=2.1)),
        ),
        (
            "ResumedElsewhere",
            "rounded weights",
            resumed(at_step("forward", 1, loss=2.0000002), at_step("optimizer_step", 1, state="?")),
        ),
        ("ResumedElsewhere", "rounded weights, the loss unseen", resumed(at_step("backward", 1, value=1.0000002))),
        ("ResumedElsewhere", "another state of the optimizer", resumed(at_step("optimizer_step", 1, state="?"))),
        ("ResumedElsewhere", "gradients alone", resumed(at_step("clip", 1, total=0.50000001))),
        ("ResumedElsewhere", "a step less", resumed(no_second_step)),
        ("ResumedElsewhere", "other data", resumed(other_data)),
        (
            "ResumedElsewhere",
            "the final state alone",
            resumed(lambda e: e.one("closing").update(optimizer_states={"o": 1})),
        ),
        ("ResumedElsewhere", "in what was left of it", resumed(at_step("optimizer_step", 2, state="?"), after=2)),
    ],
}
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "resumed_equals_uninterrupted": [
        ("the same", resumed()),
        ("another step before the interruption", resumed(at_step("optimizer_step", 0, state="?"), after=1)),
        ("the last two steps alone", resumed(after=1)),
    ],
}
SETTINGS: dict[str, Alteration] = {"resumed_equals_uninterrupted": resumed()}
