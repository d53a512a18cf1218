"""How MiniMind is tuned: whole, by PEFT as its second script did, and MiniMind-V by the values of --freeze_llm."""

from __future__ import annotations

from typing import Any

Modes = dict[str, dict[str, Any]]

TEXT: dict[str, Any] = {"data": {"mix": ["text"]}, "trust_remote_code": True}
PICTURES: dict[str, Any] = {"data": {"mix": ["image"]}, "trust_remote_code": True}


def of_text(square: tuple[str, str], attention: tuple[str, str]) -> Modes:
    """`attention` are the projections that the published PEFT script named once it named no longer all."""
    return {
        "full": {**TEXT, "tune": ["all"]},
        "lora-qk": {**TEXT, "lora": {"rank": 8, "alpha": 16, "targets": list(attention)}},
        "lora-squares": {**TEXT, "lora": {"rank": 16, "alpha": 16, "targets": list(square)}},
        "native-lora": {**TEXT, "adapter": {"method": "minimind-lora", "options": {"rank": 16}}},
    }


def of_pictures(layers: int) -> Modes:
    """--freeze_llm 2 trains the projector alone, 1 the first and the last layer too, 0 all but the encoder."""
    ends = rf"\.layers\.(?:0|{layers - 1})\."
    return {
        "freeze_llm-2": {**PICTURES, "tune": ["connector"]},
        "freeze_llm-1": {**PICTURES, "tune": {"connector": "all", "language": {"named": [ends]}}},
        "freeze_llm-0": {**PICTURES, "tune": ["connector", "llm"]},
    }
