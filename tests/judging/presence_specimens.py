"""Specimens of what should be there and is not: components of a model, and labels of a sample."""

from __future__ import annotations

from typing import Any

from tests.judging.data_specimens import labels

Evidence = Any
EMBEDDINGS, HEAD = ["tokens\\.", "embeddings"], ["head\\.", "lm_head"]


def trains(e: Evidence, *components: list[str]) -> None:
    """Let whole components train besides, whether the model has them or not."""
    e.intent["components"] = [*components, *e.intent["components"]]
    e.intent["trains"] = [*(pattern for pattern, _ in components), *e.intent["trains"]]


def tied_to_the_connector(e: Evidence) -> None:
    trains(e, HEAD)
    e.intent["ties"] = [["connector.weight", "head.weight"]]


SPECIMENS: dict[str, list[tuple[str, str, Any]]] = {
    "trained_components_in_model": [
        ("ComponentOutsideModel", "one of two", lambda e: trains(e, EMBEDDINGS)),
        ("ComponentOutsideModel", "tied to what is not there", lambda e: (
            trains(e, HEAD), e.intent.update(ties=[["head.weight", "tokens.weight"]]))),
    ],
    "labels_say_the_answers": [
        ("NothingLearned", "of one row", labels),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Any]]] = {
    "trained_components_in_model": [
        ("a component that shares its tensor with another", tied_to_the_connector),
        ("part of a component that is not there", lambda e: e.intent.update(trains=["tokens\\.last\\."])),
        ("the family has it, and it does not train", lambda e: e.intent["components"].append(EMBEDDINGS)),
    ],
}
