"""How Mini-Gemini is tuned: the options of its published scripts, by what they come to.

The three blocks that mine patches are made after all freezing: they train under every option, and are part of the
connector here.
"""

from __future__ import annotations

from typing import Any

LLAMA_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
MIXTRAL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate", "w1", "w2", "w3")
BLOCKS = r"vlm_uni_"


def targets(names: tuple[str, ...]) -> str:
    """The linear layers of the language model by their last name, and of nothing beside it."""
    return rf"model\.layers\.\d+\..*\b(?:{'|'.join(names)})"


def modes(linear: tuple[str, ...], tied: bool) -> dict[str, dict[str, Any]]:
    """Name to recipe settings. A frozen backbone leaves the output layer to train, unless it shares its tensor."""
    lora = {"rank": 64, "alpha": 16, "dropout": 0.05, "targets": targets(linear)}
    second = ["connector", "llm"]
    return {
        "stage-1": {"tune": ["connector"]},
        "stage-2": {"tune": second},
        "full": {"tune": ["all"]},
        "freeze_backbone": {"tune": ["connector"] if tied else ["connector", "lm_head"]},
        "freeze_mm_mlp_adapter": {"tune": {"llm": "all", "connector": {"named": [BLOCKS]}}},
        "optimize_vision_tower": {"tune": [*second, {"vision": {"last": 12}}]},
        "optimize_vision_tower_aux": {"tune": [*second, {"vision_aux": {"last": 1}}]},
        "optimize_both_towers": {"tune": [*second, {"vision": {"last": 12}}, {"vision_aux": {"last": 1}}]},
        "lora": {"tune": ["connector"], "lora": lora},
        "lora-alone": {"lora": lora},
        "lora+vision": {"tune": ["connector", "vision"], "lora": lora},
        "last-layers": {"tune": {"connector": "all", "language": {"last": 2}}},
    }
