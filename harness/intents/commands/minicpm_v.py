"""MiniCPM-V's `finetune/finetune.py`: tune_vision, tune_llm and use_lora, all with defaults that train something.

The resampler trains under every combination. Beside adapters the embeddings train too, for pictures are written into
them in place; peft keeps copies of both, and of the tower where that trains.
"""

from __future__ import annotations

from typing import Any

from harness.intents.commands import hf_arguments
from harness.intents.commands.flags import Flag, Flags, silent
from harness.intents.commands.shell import Command
from harness.refusal import Refused

NAME, ABOUT = "minicpm-v", "MiniCPM-V's, finetune/finetune.py"
QKV = r"llm\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj)"
OWN: dict[str, Flag] = {
    "model_name_or_path": Flag("the family", "text", "openbmb/MiniCPM-V-2"),
    "tune_vision": Flag("the vision tower trains", "bool", True),
    "tune_llm": Flag("the language model trains; not beside adapters", "bool", True),
    "use_lora": Flag("adapters on the language model; embeddings and resampler train whole beside them", "bool", False),
    "lora_r": Flag("their rank", "int", 64),
    "lora_alpha": Flag("their alpha", "int", 64),
    "lora_dropout": Flag("their dropout", "float", 0.05),
    "lora_bias": Flag("which biases train with them", "text", "none"),
    "lora_target_modules": Flag("their targets", "text", QKV),
    "lora_layers_to_transform": Flag("the layers that have them", "list"),
    "q_lora": Flag("the weights under them are quantized", "bool", False),
    # Read and never used.
    **silent("lora_modules_to_save", "lora_weight_path", "lora_layers_pattern", "lora_layer_replication"),
    **silent("llm_type", "data_path", "eval_data_path", "model_max_length", "max_slice_nums", "tokenizer_path"),
    **silent("fix_vit", "use_flash_attn", kind="bool"),
}
TABLE = {**hf_arguments.TABLE, **OWN}
FAMILIES = (
    ("minicpm-llama3-v-2_5", "minicpm-llama3-v-2.5", "MiniCPMV", "MiniCPMVProcessor"),
    ("minicpm-llama3-v-2.5", "minicpm-llama3-v-2.5", "MiniCPMV", "MiniCPMVProcessor"),
    ("minicpm-v-2_6", "minicpm-v-2.6", "MiniCPMV", "MiniCPMVProcessor"),
    ("minicpm-v-2.6", "minicpm-v-2.6", "MiniCPMV", "MiniCPMVProcessor"),
)
COMPONENTS = {
    "vision": ["vpm"],
    "connector": ["resampler"],
    "embeddings": ["llm.model.embed_tokens"],
    "lm_head": ["llm.lm_head"],
    "language": ["llm.model.layers", "llm.model.norm"],
}


def is_its(command: Command) -> bool:
    own = ("--tune_vision", "--tune_llm", "--max_slice_nums", "--llm_type")
    return any(word.startswith(own) for word in command.arguments)


def intent(flags: Flags, command: Command) -> dict[str, Any]:
    """What the flags promise, as settings of an intent file. Raises Refused where the script itself would."""
    if flags["use_lora"] and flags["tune_llm"]:
        what = "--tune_llm and --use_lora: the script ends with 'The model cannot simultaneously adjust LLM parameters"
        raise Refused(
            f"{what} and apply LoRA.'", where="--from-command", do="give --tune_llm false; it is true by default"
        )
    path = str(flags["model_name_or_path"]).lower()
    known = next((row for row in FAMILIES if row[0] in path), None)
    second = path.rstrip("/").endswith("minicpm-v-2")
    names = {"family": known[1] if known else "minicpm-v-2"} if known or second else {"components": COMPONENTS}
    lora = flags["use_lora"]
    trains = (["vision"] if flags["tune_vision"] else []) + ["connector"]
    trains += ["embeddings"] if lora else ["llm"] if flags["tune_llm"] else []
    return {
        **names,
        "trainable": trains,
        "adapters": _adapters(flags) if lora else "none",
        "precision": _precision(flags),
        **hf_arguments.settings_of(flags, command),
        "save": {"what": "adapter", "tokenizer": True} if lora else _whole(known),
    }


def _adapters(flags: Flags) -> dict[str, Any]:
    layers = flags["lora_layers_to_transform"]
    kept = ["embed_tokens", "resampler", *(["vpm"] if flags["tune_vision"] else [])]
    return {
        "components": ["language"],
        "targets": flags["lora_target_modules"],
        "rank": flags["lora_r"],
        "alpha": flags["lora_alpha"],
        "dropout": flags["lora_dropout"],
        "bias": flags["lora_bias"],
        **({"layers_to_transform": [int(one) for one in layers]} if layers else {}),
        "modules_to_save": kept,
    }


def _precision(flags: Flags) -> str | None:
    """Weights are loaded in what they compute in: there are no fp32 masters but DeepSpeed's."""
    if flags["q_lora"]:
        for name in ("q_lora", "bf16", "fp16"):
            flags.not_judged(name, "no check knows weights of four bits")
        return None
    return "pure-fp16" if flags["fp16"] else "pure-bf16" if flags["bf16"] else "fp32"


def _whole(known: tuple[str, str, str, str] | None) -> dict[str, Any]:
    """The whole model, whatever trained. The script leaves the processor's files out; who loads it wants them."""
    classes = {"model": known[2], "processor": known[3]} if known else {}
    return {"what": "full", **classes, "tokenizer": True}
