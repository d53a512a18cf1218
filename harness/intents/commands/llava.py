"""LLaVA's train script, `llava/train/train_mem.py`: Mini-Gemini's is made from it, and most flags mean the same."""

from __future__ import annotations

from typing import Any

from harness.intents.commands import hf_arguments, mini_gemini
from harness.intents.commands.flags import Flag, Flags, silent
from harness.intents.commands.shell import Command

NAME, ABOUT = "llava", "LLaVA's, llava/train/train_mem.py"
_THEIRS = ("optimize_vision_tower", "optimize_vision_tower_aux", "lr_multi", "vision_tower_aux", "image_size_aux",
           "image_grid", "image_global", "drop_path", "input_size_aux")  # fmt: skip
TABLE = {
    **{name: flag for name, flag in mini_gemini.TABLE.items() if name not in _THEIRS},
    "model_name_or_path": Flag(),
    "unfreeze_mm_vision_tower": Flag("the tower trains", "bool", False),
    "mm_patch_merge_type": Flag(),
    **silent("mm_vision_tower_lr", "mm_tunable_parts"),
}
COMPONENTS = {
    "vision": ["model.vision_tower"],
    "connector": ["model.mm_projector"],
    "embeddings": ["model.embed_tokens"],
    "lm_head": ["lm_head"],
    "language": ["model.layers", "model.norm"],
}
_NEED = ("tune_mm_mlp_adapter", "mm_projector_lr", "freeze_backbone", "pretrain_mm_mlp_adapter")


def is_its(command: Command) -> bool:
    given = {word.lstrip("-").partition("=")[0] for word in command.arguments}
    return "llava" in command.program.lower() or bool(given & set(_NEED))


def intent(flags: Flags, command: Command) -> dict[str, Any]:
    """What the flags promise, as settings of an intent file."""
    settings = hf_arguments.settings_of(flags, command)
    alone, lora = flags["tune_mm_mlp_adapter"], flags["lora_enable"]
    trains = [] if flags["freeze_mm_mlp_adapter"] else ["connector"]
    if not alone and not lora:
        trains += ["lm_head"] if flags["freeze_backbone"] else ["llm"]
    trains += ["vision"] if flags["unfreeze_mm_vision_tower"] else []
    if settings["optimizer"] and flags["mm_projector_lr"]:
        settings["optimizer"]["rate_factors"] = {"mm_projector": flags["mm_projector_lr"] / flags["learning_rate"]}
    save: dict[str, Any] = {"what": "full", "tokenizer": True}
    if alone:
        save = {"what": "projector", "tokenizer": False, "holds": ["connector"]}
    elif lora:
        save = {"what": "adapter", "tokenizer": False, "beside_adapter": "non_lora_trainables.bin"}
    return {
        "components": COMPONENTS,
        "trainable": trains,
        "adapters": mini_gemini._adapters(flags, mini_gemini.LLAMA) if lora and not alone else "none",
        "precision": mini_gemini._precision(flags),
        **settings,
        "save": save,
    }
