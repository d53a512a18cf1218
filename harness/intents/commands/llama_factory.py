"""LLaMA-Factory's YAML: `llamafactory-cli train FILE [key=value ...]`, or its keys as flags.

For a model that sees, tower and projector are frozen unless it is said otherwise, whatever the method.
"""

from __future__ import annotations

from typing import Any

from harness.intents.commands import hf_arguments
from harness.intents.commands.flags import Flag, Flags, silent
from harness.intents.commands.shell import Command

NAME, ABOUT = "llama-factory", "LLaMA-Factory's"
TABLE: dict[str, Flag] = {
    **hf_arguments.TABLE,
    "finetuning_type": Flag("full, lora, freeze or oft", "text", "lora"),
    "lora_target": Flag("the targets of adapters; all: every linear layer but the head and the projector", "list"),
    "lora_rank": Flag("their rank", "int", 8),
    "lora_alpha": Flag("their alpha; left out: twice the rank", "int"),
    "lora_dropout": Flag("their dropout", "float", 0.0),
    "additional_target": Flag("modules that are kept whole beside them, and train", "list"),
    "use_rslora": Flag("they are scaled by the root of the rank", "bool", False),
    "use_dora": Flag("they are DoRA's", "bool", False),
    "freeze_vision_tower": Flag("the tower is frozen, and has no adapters", "bool", True),
    "freeze_multi_modal_projector": Flag("the projector is frozen", "bool", True),
    "freeze_language_model": Flag("the language model is frozen", "bool", False),
    "freeze_trainable_layers": Flag("how many of the last layers train under freeze", "int", 2),
    "freeze_trainable_modules": Flag("which of their modules do", "list"),
    "pure_bf16": Flag("weights are kept in bfloat16", "bool", False),
    "flash_attn": Flag("how attention is computed"),
    "quantization_bit": Flag("weights in so many bits", "int"),
    **silent("model_name_or_path", "stage", "dataset", "template", "cutoff_len", "max_samples", "dataset_dir",
             "preprocessing_num_workers", "plot_loss", "val_size", "image_max_pixels", "video_max_pixels",
             "infer_dtype",
             "adapter_name_or_path", "media_dir", "image_min_pixels", "eval_dataset", "tokenized_path", "mix_strategy",
             "quantization_method", "mask_history", "image_resolution", "buffer_size", "rope_scaling"),
    **silent("trust_remote_code", "overwrite_cache", "streaming", "packing", "use_fast_tokenizer", "upcast_layernorm",
             "create_new_adapter", "resize_vocab", "low_cpu_mem_usage", "use_unsloth", "enable_liger_kernel",
             "train_on_prompt", "neat_packing", kind="bool"),
}  # fmt: skip


def is_its(command: Command) -> bool:
    name = command.program.rpartition("/")[2]
    return name in ("llamafactory-cli", "lmf") or any("finetuning_type" in word for word in command.arguments)


def intent(flags: Flags, command: Command) -> dict[str, Any]:
    """What the settings promise, as settings of an intent file."""
    kind = flags["finetuning_type"]
    parts = {
        "vision": not flags["freeze_vision_tower"],
        "connector": not flags["freeze_multi_modal_projector"],
        "llm": not flags["freeze_language_model"],
    }
    settings: dict[str, Any] = {}
    if kind == "full":
        settings = {"trainable": [name for name, trains in parts.items() if trains], "adapters": "none"}
    elif kind == "lora":
        kept = flags["additional_target"] or []
        settings = {"trainable": [*kept], "adapters": _adapters(flags, parts, kept)}
        flags.not_judged("freeze_multi_modal_projector", "beside adapters the projector trains only if it is named")
    else:
        why = "which layers are the last ones is not known without the model" if kind == "freeze" else "unknown here"
        for name in ("finetuning_type", "freeze_trainable_layers", "freeze_trainable_modules"):
            flags.not_judged(name, why)
    found = hf_arguments.settings_of(flags, command)
    if flags["flash_attn"] in ("sdpa", "eager"):
        found["attention"] = flags["flash_attn"]
    else:
        flags.not_judged("flash_attn", "no check knows this one")
    save = {"what": "adapter" if kind == "lora" else "full", "tokenizer": True}
    return {**settings, "precision": _precision(flags), **found, "save": save}


def _adapters(flags: Flags, parts: dict[str, bool], kept: list[str]) -> dict[str, Any]:
    targets: Any = flags["lora_target"] or ["all"]
    rank = flags["lora_rank"]
    flags.not_judged("use_dora", "that adapters are DoRA's is not told by the trace")
    components = ["language"] * parts["llm"] + ["vision"] * parts["vision"]
    return {
        **({"components": components} if components else {}),
        "targets": "all-linear" if targets == ["all"] else [one.strip() for one in targets],
        "rank": rank,
        "alpha": flags["lora_alpha"] or 2 * rank,
        "dropout": flags["lora_dropout"],
        **({"rslora": True} if flags["use_rslora"] else {}),
        **({"modules_to_save": kept} if kept else {}),
    }


def _precision(flags: Flags) -> str | None:
    """What trains is kept in fp32 under bf16 and fp16, which are autocast then."""
    if flags["quantization_bit"]:
        for name in ("quantization_bit", "bf16", "fp16", "pure_bf16"):
            flags.not_judged(name, "no check knows weights of so few bits")
        return None
    return "pure-bf16" if flags["pure_bf16"] else "bf16" if flags["bf16"] else "fp16" if flags["fp16"] else None
