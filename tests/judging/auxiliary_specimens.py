"""Specimens of what keeps experts evenly loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judging.steps_specimens import LAST, declared, short_last_group

Evidence = Any
Alteration = Callable[[Evidence], object]
ALLOWED = 4 * 2.0**-24
PART = 0.25  # what the model gives beside its loss, which is two


def with_experts(*alterations: Alteration) -> Alteration:
    """A run whose model gives an auxiliary loss, and whose trainer adds it."""

    def alter(e: Evidence) -> None:
        declared(e)
        e.intent["mechanisms"]["auxiliary_loss"] = True
        for event in e.all("forward"):
            event["auxiliary"] = PART
        for event in e.all("backward"):
            event["value"] *= 1 + PART / 2
        for one in alterations:
            one(e)

    return alter


def off(share: float) -> Alteration:
    """One backward starts from a value that is off by this share."""
    return lambda e: e.one("backward", LAST).update(value=4.0 * (1 + PART / 2) * (1 + share))


def without(e: Evidence) -> None:
    e.one("backward", LAST).update(value=4.0)


def a_group_of_one(e: Evidence) -> None:
    """Where the data end a step has one micro-batch, whose loss counts whole."""
    short_last_group(e)
    e.one("backward", 2)["value"] *= 2


def by_tokens(e: Evidence) -> None:
    """Of the last step the second micro-batch learns three tokens for each one of the first, and counts three times."""
    e.intent["mechanisms"]["loss_average"] = "token"
    e.one("forward", LAST)["learned"] = {"stretches": [[[1, 25]]]}
    for at, share in ((-2, 0.5), (LAST, 1.5)):
        e.one("backward", at)["value"] *= share


def none_given(e: Evidence) -> None:
    """Of the last micro-batch the model gave its loss alone."""
    e.one("forward", LAST).pop("auxiliary")
    without(e)


SETTINGS: dict[str, Alteration] = {"auxiliary_loss_added": with_experts()}
SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "auxiliary_loss_added": [
        ("AuxiliaryLossLeftOut", "one", with_experts(without)),
        ("AuxiliaryLossLeftOut", "two", with_experts(without, lambda e: e.one("backward", 3).update(value=4.0))),
        ("AuxiliaryLossLeftOut", "twice what rounding allows", with_experts(off(2 * ALLOWED))),
        ("AuxiliaryLossLeftOut", "less, by twice that", with_experts(off(-2 * ALLOWED))),
        ("AuxiliaryLossLeftOut", "one that counts by its tokens", with_experts(
            by_tokens, lambda e: e.one("backward", LAST).update(value=6.0))),
    ],
    "accumulation_divides": [
        ("LossNotDivided", "twice the auxiliary loss", with_experts(
            lambda e: e.one("backward", LAST).update(value=4.0 * (1 + PART)))),
        ("LossNotDivided", "an auxiliary loss that nobody asked for", with_experts(
            lambda e: e.intent["mechanisms"].update(auxiliary_loss=False))),
        ("LossNotDivided", "an auxiliary loss that the model did not give", with_experts(
            none_given, lambda e: e.one("backward", LAST).update(value=6.0))),
    ],
}  # fmt: skip
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "auxiliary_loss_added": [
        ("what rounding allows", with_experts(off(0.99 * ALLOWED))),
        ("a group of one where the data end", with_experts(a_group_of_one)),
        ("a micro-batch of which none was given", with_experts(none_given)),
        ("one micro-batch with more tokens, by which it counts", with_experts(by_tokens)),
        ("not finite", with_experts(lambda e: e.one("backward", LAST).update(value="nan"))),
    ],
    "accumulation_divides": [("an auxiliary loss", with_experts()), ("one left out", with_experts(without))],
}
