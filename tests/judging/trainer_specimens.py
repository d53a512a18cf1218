"""Specimens of transformers' Trainer: losses told how many tokens a step learns, and a plain loop beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judging.equivalence_specimens import agrees, by_tokens, clipped, one_gradient_twice_as_large
from tests.judging.replica_specimens import other_weights_after
from tests.judging.steps_specimens import steps

Evidence = Any
Alteration = Callable[[Evidence], object]


def told(items: float, *losses: float) -> Alteration:
    """The model is told how many tokens a step learns, and gives its sums over
    that number; two of them are learned in the first micro-batch, six in the second."""

    def alter(e: Evidence) -> None:
        by_tokens(2, 6)(e)
        for event in e.all("forward"):
            if event["training"]:
                event.update(items=items, loss=losses[event["micro"]])
        for event in e.all("backward"):
            event["value"] = losses[event["micro"]] * (4.0 if event["step"] else 8.0)

    return alter


def by_token(*alterations: Alteration) -> Alteration:
    """A step's loss is the mean over its tokens: a plain loop rounds elsewhere."""

    def alter(e: Evidence) -> None:
        agrees("torch", *alterations)(e)
        e.intent["mechanisms"]["loss_average"] = "token"

    return alter


def three_micro_batches(*alterations: Alteration) -> Alteration:
    """A third is no number of base two: a plain loop rounds elsewhere."""

    def alter(e: Evidence) -> None:
        agrees("torch", *alterations)(e)
        e.intent["mechanisms"]["accumulation"] = 3

    return alter


def overflows_at(step: int) -> Alteration:
    return lambda e: e.intent["mechanisms"].update(overflow_at=step)


def overflows_at_second(grown_to: float) -> Alteration:
    """Step 1 is skipped, at the scale that step 0 has left."""

    def alter(e: Evidence) -> None:
        overflows_at(1)(e)
        e.one("optimizer_step", 1)["skipped"] = True
        e.one("scaler_update", 0).update(before=4.0, after=grown_to)

    return alter


def another_loss(e: Evidence) -> None:
    e.one("forward", -1)["loss"] = 1.5


def told_of_the_step(e: Evidence) -> None:
    """Its model is told how many tokens the step learns, and the plain loop's is not."""
    by_token(another_loss)(e)
    for event in e.all("forward"):
        event["items"] = 16


def last_bit(e: Evidence) -> None:
    event = e.one("backward", -1)
    event["value"] = float(event["value"]) * (1 + 2.0**-23)


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "accumulation_divides": [
        ("LossNotDivided", "a model that was told of the tokens of one micro-batch", steps(told(6, 1.0, 3.0))),
        (
            "LossNotDivided",
            "a loss over the whole step's tokens, divided again",
            steps(told(8, 1.0, 3.0), lambda e: [one.update(value=one["value"] / 2) for one in e.all("backward")]),
        ),
    ],
    "run.mechanism_active": [
        ("MechanismIdle", "an overflow at another step", overflows_at(1)),
        ("MechanismIdle", "an overflow of its own, at a scale that never grew", overflows_at_second(4.0)),
    ],
    "engine_changes_nothing": [
        ("EngineMatters", "one bit of one loss", agrees("torch", last_bit)),
        ("EngineMatters", "other weights after the last step", agrees("torch", other_weights_after(-1))),
        ("EngineMatters", "one loss, by tokens", by_token(another_loss)),
        ("EngineMatters", "one gradient, by tokens", by_token(one_gradient_twice_as_large)),
        ("EngineMatters", "one gradient, by thirds", three_micro_batches(one_gradient_twice_as_large)),
    ],
}
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "accumulation_divides": [("a model that was told of the step's tokens", steps(told(8, 1.0, 3.0)))],
    "run.mechanism_active": [
        ("the overflow that was asked for", overflows_at(0)),
        ("a scale that grows to where it overflows", overflows_at_second(8.0)),
    ],
    "engine_changes_nothing": [
        ("the same to the bit", agrees("torch")),
        ("gradients within rounding, by tokens", by_token(clipped(1.00001), last_bit)),
        ("a loss over the tokens of the whole step", told_of_the_step),
        ("gradients within rounding, by thirds", three_micro_batches(clipped(1.00001), last_bit)),
    ],
}
SETTINGS: dict[str, Alteration] = {"engine_changes_nothing": agrees("torch")}
