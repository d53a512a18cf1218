"""Specimens of timed runs: how long windows of steps took, a bare loop's, and a matrix product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Evidence = Any
Alteration = Callable[[Evidence], object]
DEVICE = "cpu: a kind"
BARE, FLOPS, RATE = 0.1, 5e8, 1e11  # seconds of a bare window, operations of a window, and of a product per second
NOISE = (0.97, 0.98, 0.99, 0.99, 1.0, 1.0, 1.0, 1.01, 1.01, 1.02, 1.03, 1.6)  # of twelve windows one is an outlier
HERE = FLOPS / BARE / RATE  # what the bare loop uses of the device


def timed(slower: float = 1.0, *, device_slower: float = 1.0, noise: tuple[float, ...] = NOISE) -> Alteration:
    """Steps that take so many times as long as a bare loop's, on a device that is so many times as slow."""

    def alter(e: Evidence) -> None:
        e.partners["paced"] = [
            {"kind": "closing", "steps": 3},
            {"kind": "probe", "name": "operations", "flops": [FLOPS / 10] * 10},
        ]
        rates = [RATE / device_slower] * (len(noise) + 1)
        run = [BARE * slower * device_slower * one for one in noise]
        bare = [BARE * device_slower * one for one in noise]
        e.measured["paced"] = {
            "pace": {
                "device": DEVICE,
                "torch": "2.13.0",
                "window": 10,
                "run": {"seconds": run, "waited": run, "matmul": rates},
                "bare": {"seconds": bare, "waited": bare, "matmul": rates},
            }
        }

    return alter


def asks(of_bare: float = 0.8, used: float | None = None, device: str = DEVICE, pinned: bool = False) -> Alteration:
    """The recipe asks for such a part of the bare loop's speed, and such a part of the device's as was measured."""
    measured = [] if used is None else [{"device": device, "of_matmul": used, "torch": "2.12.0"}]
    throughput = {"of_bare": of_bare, "pinned": pinned, "slower": 0.3, "measured": measured}
    return lambda e: e.intent.update(budget={"throughput": throughput})


def both(*alterations: Alteration) -> Alteration:
    return lambda e: [one(e) for one in alterations]


SETTINGS: dict[str, Alteration] = {"throughput_within_budget": both(asks(), timed(1.05))}
WARNINGS = {"FasterThanMeasured"}
SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "throughput_within_budget": [
        ("SlowerThanBare", "two thirds of its speed", both(asks(0.8), timed(1.5))),
        ("SlowerThanMeasured", "a step as long again", both(asks(0.8, used=2 * HERE), timed(1.0))),
        ("SlowerThanMeasured", "more than a third below", both(asks(0.5, used=HERE), timed(1.4))),
        ("FasterThanMeasured", "twice as fast", both(asks(0.8, used=HERE / 2), timed(1.0))),
    ]
}
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "throughput_within_budget": [
        ("a tenth slower", both(asks(0.8), timed(1.1))),
        ("as fast as measured", both(asks(0.8, used=HERE), timed(1.0))),
        ("a fifth slower than measured", both(asks(0.5, used=HERE), timed(1.2))),
        ("a fifth faster than measured", both(asks(0.5, used=HERE / 1.2), timed(1.0))),
        ("another machine of the kind, half as fast", both(asks(0.8, used=HERE), timed(1.0, device_slower=2.0))),
    ]
}
