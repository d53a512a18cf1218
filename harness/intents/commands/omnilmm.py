"""OmniLMM-12B by its model's two flags: it ships no script, so whatever has them is taken for transformers' trainer."""

from __future__ import annotations

from typing import Any

from harness.intents.commands import hf_arguments
from harness.intents.commands.flags import Flag, Flags, silent
from harness.intents.commands.shell import Command

NAME, ABOUT = "omnilmm", "OmniLMM-12B's, by its model's flags; upstream ships no script"
TABLE: dict[str, Flag] = {
    **hf_arguments.TABLE,
    "tune_clip": Flag("the tower trains; else it lies in a Python list, where no module finds it", "bool", True),
    "tune_mm_mlp_adapter": Flag("resampler and input embeddings train, and nothing else", "bool", False),
    **silent("model_name_or_path", "vision_tower", "data_path", "image_folder", "num_query", "model_max_length"),
    **silent("mm_use_im_start_end", "lazy_preprocess", kind="bool"),
}


def is_its(command: Command) -> bool:
    return any(word.startswith("--tune_clip") for word in command.arguments) or "omnilmm" in command.program.lower()


def intent(flags: Flags, command: Command) -> dict[str, Any]:
    """What the flags promise, as settings of an intent file."""
    tower = flags["tune_clip"]
    trains = ["connector", "llm", *(["vision"] if tower else [])]
    if flags["tune_mm_mlp_adapter"]:
        trains = ["connector", "embeddings"]
    flags.not_judged("fp16", "what the weights are loaded in is not on the command line")
    return {
        "family": "omnilmm-12b" if tower else "omnilmm-12b-no-tune-clip",
        "trainable": trains,
        "adapters": "none",
        "precision": "pure-bf16" if flags["bf16"] else None,
        **hf_arguments.settings_of(flags, command),
        "save": {"what": "full", "model": "OmniLMMForCausalLM", "tokenizer": True},
    }
