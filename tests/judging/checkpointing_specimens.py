"""Specimens of layers that are computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judging.faultless_model import BASE

Evidence = Any
Alteration = Callable[[Evidence], object]
NOTHING_TO_GO_BACK_FROM = "element 0 of tensors does not require grad and does not have a grad_fn"


def cut_off(*layers: str, trains: bool = True) -> Alteration:
    """Layers are to be recomputed from inputs that want no gradient."""

    def alter(e: Evidence) -> None:
        at = e.events.index(e.one("forward"))
        for layer in layers:
            e.events.insert(
                at, {"kind": "cut_off", "step": 0, "micro": 0, "module": f"{BASE}{layer}", "trains": trains}
            )

    return alter


def ended(e: Evidence) -> None:
    e.events.append({"kind": "failure", "stage": "train", "error": "RuntimeError", "message": NOTHING_TO_GO_BACK_FROM})


def nothing_left(e: Evidence) -> None:
    """Every layer was cut off, and the loss with them: backward raised."""
    cut_off("language.layers.0")(e)
    ended(e)


SPECIMENS: dict[str, list[tuple[str, str, Alteration]]] = {
    "recomputed_layers_reached": [
        ("CutOff", "one layer", cut_off("language.layers.1")),
        ("CutOff", "layers of two components", cut_off("vision.layers.0", "language.layers.0", "language.layers.1")),
    ],
    "run.completed": [
        ("RunEnded", "nothing to go back from, after a layer was cut off", nothing_left),
        ("RunEnded", "nothing to go back from, for whatever reason", ended),
    ],
}
SILENT: dict[str, list[tuple[str, Alteration]]] = {
    "recomputed_layers_reached": [("a layer in which nothing trains", cut_off("vision.layers.0", trains=False))],
}
