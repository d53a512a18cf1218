"""Where optimizers hold the parameters of the model, and how fast they move them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.trace.reader import Trace


def places_of(trace: Trace) -> dict[int, list[tuple[str, int]]]:
    """By parameter, the optimizer and the group of each place it has, as they were described last."""
    model = trace.described["model"]
    groups = {event["optimizer"]: event["groups"] for event in trace.of("optimizer")}
    found: dict[int, list[tuple[str, int]]] = {}
    for optimizer, described in groups.items():
        for number, group in enumerate(described):
            for place in group["parameters"]:
                if place and place[0] == model:
                    found.setdefault(place[1], []).append((optimizer, number))
    return found


def rates_of(trace: Trace) -> dict[int, float]:
    """The largest learning rate that each parameter in an optimizer was moved with, 0 for one that never was."""
    largest: dict[tuple[str, int], float] = {}
    for step in trace.effective_steps:
        for number, rate in enumerate(step["lr"]):
            place = (step["optimizer"], number)
            largest[place] = max(largest.get(place, 0.0), float(rate))
    return {index: max(largest.get(place, 0.0) for place in places) for index, places in places_of(trace).items()}
