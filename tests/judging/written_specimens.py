"""Specimens of patterns in a user's intent file that name nothing, or one parameter as two things."""

from __future__ import annotations

from typing import Any

Evidence = Any


def says(e: Evidence, **named: str) -> None:
    e.intent["written"] = [{"named": name, "pattern": pattern} for name, pattern in named.items()]


SPECIMENS: dict[str, list[tuple[str, str, Any]]] = {
    "intent_patterns_meet": [
        ("PatternMeetsNothing", "a name misspelt by one letter", lambda e: says(e, trainable="conector")),
        ("PatternMeetsNothing", "a component that the model has not", lambda e: says(e, frozen="audio")),
        ("PatternMeetsNothing", "a pattern that takes nothing back", lambda e: says(e, frozen="!conector")),
        ("TrainableAndFrozen", "by its component and by its name", lambda e: says(
            e, trainable="connector.weight", frozen="connector")),
    ],
}  # fmt: skip

SILENT: dict[str, list[tuple[str, Any]]] = {
    "intent_patterns_meet": [
        ("taken back from one of the two", lambda e: e.intent.update(written=[
            {"named": "frozen", "pattern": "*"},
            {"named": "frozen", "pattern": "!connector"},
            {"named": "trainable", "pattern": "connector"},
        ])),
        ("what an adapter adds is on no side", lambda e: says(e, trainable="q_proj.lora_A", frozen="language")),
    ],
}  # fmt: skip

SETTINGS = {"intent_patterns_meet": lambda e: says(e, trainable="connector", frozen="vision")}
