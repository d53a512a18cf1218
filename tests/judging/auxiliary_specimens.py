"""Specimens of what keeps experts evenly loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judging.steps_specimens import LAST, declared

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


SETTINGS: dict[str, Alteration] = {"auxiliary_loss_added": with_experts()}
SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "auxiliary_loss_added": [
        ("AuxiliaryLossLeftOut", "one", with_experts(without)),
        ("AuxiliaryLossLeftOut", "twice what rounding allows", with_experts(off(2 * ALLOWED))),
        ("AuxiliaryLossLeftOut", "less, by twice that", with_experts(off(-2 * ALLOWED))),
    ],
    "accumulation_divides": [("LossNotDivided", "twice the auxiliary loss", with_experts(
        lambda e: e.one("backward", LAST).update(value=4.0 * (1 + PART))))],
}  # fmt: skip
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "auxiliary_loss_added": [
        ("what rounding allows", with_experts(off(0.99 * ALLOWED))),
        ("not finite", with_experts(lambda e: e.one("backward", LAST).update(value="nan"))),
    ],
    "accumulation_divides": [("an auxiliary loss", with_experts()), ("one left out", with_experts(without))],
}
