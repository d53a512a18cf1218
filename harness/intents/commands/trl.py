"""TRL's `trl sft`, `sft.py`, `sft_vlm.py`: ModelConfig and SFTConfig over transformers' arguments, or a --config."""

from __future__ import annotations

from typing import Any

from harness.intents.commands import hf_arguments
from harness.intents.commands.flags import Flag, Flags, silent
from harness.intents.commands.shell import Command

NAME, ABOUT = "trl", "TRL's, ModelConfig and SFTConfig"
TABLE: dict[str, Flag] = {
    **hf_arguments.TABLE,
    "use_peft": Flag("adapters, and nothing else but --lora_modules_to_save", "bool", False),
    "lora_r": Flag("their rank", "int", 16),
    "lora_alpha": Flag("their alpha", "int", 32),
    "lora_dropout": Flag("their dropout", "float", 0.05),
    "lora_target_modules": Flag("their targets; left out: peft's own choice for the model", "list"),
    "lora_modules_to_save": Flag("modules that are kept whole beside them, and train", "list"),
    "use_rslora": Flag("they are scaled by the root of the rank", "bool", False),
    "use_dora": Flag("they are DoRA's", "bool", False),
    "load_in_4bit": Flag("weights in four bits", "bool", False),
    "load_in_8bit": Flag("weights in eight bits", "bool", False),
    "dtype": Flag("what the weights are kept in"),
    "torch_dtype": Flag("what the weights are kept in"),
    **silent("model_name_or_path", "dataset_name", "dataset_config", "dataset_train_split", "dataset_test_split",
             "max_length", "max_seq_length", "dataset_text_field", "dataset_num_proc", "lora_task_type", "eos_token",
             "bnb_4bit_quant_type", "pad_token", "chat_template_path", "packing_strategy", "loss_type",
             "pad_to_multiple_of", "config"),
    **silent("trust_remote_code", "packing", "assistant_only_loss", "completion_only_loss", "padding_free", "use_liger",
             "use_bnb_nested_quant", "dataset_streaming", "ignore_bias_buffers", "activation_offloading",
             "use_liger_kernel", "skip_prepare_dataset", kind="bool"),
}  # fmt: skip
SCRIPTS = ("sft", "sft_vlm", "sft_video_llm", "sft_gemma3")


def is_its(command: Command) -> bool:
    name = command.program.rpartition("/")[2].removesuffix(".py")
    return name == "trl" or name in SCRIPTS or "trl" in command.program.split(".") or "--use_peft" in command.arguments


def intent(flags: Flags, command: Command) -> dict[str, Any]:
    """What the flags promise, as settings of an intent file."""
    settings = hf_arguments.settings_of(flags, command)
    if "gradient_accumulation_steps" not in flags:  # which has been another's default from one release to the next
        settings["accumulation"] = 1
    peft = flags["use_peft"]
    kept = flags["lora_modules_to_save"] or []
    return {
        "trainable": [*kept] if peft else ["all"],
        "adapters": _adapters(flags, kept) if peft else "none",
        "precision": precision_of(flags),
        **settings,
        "save": {"what": "adapter" if peft else "full", "tokenizer": True},
    }


def _adapters(flags: Flags, kept: list[str]) -> dict[str, Any]:
    targets = flags["lora_target_modules"]
    if targets and len(targets) == 1 and targets[0] == "all-linear":
        targets = "all-linear"
    flags.not_judged("use_dora", "that adapters are DoRA's is not told by the trace")
    return {
        **({"targets": targets} if targets else {}),
        "rank": flags["lora_r"],
        "alpha": flags["lora_alpha"],
        "dropout": flags["lora_dropout"],
        **({"rslora": True} if flags["use_rslora"] else {}),
        **({"modules_to_save": kept} if kept else {}),
    }


def precision_of(flags: Flags) -> str | None:
    """Autocast over what the weights are kept in, where both are said."""
    if flags["load_in_4bit"] or flags["load_in_8bit"]:
        for name in ("load_in_4bit", "load_in_8bit", "bf16", "fp16", "dtype", "torch_dtype"):
            flags.not_judged(name, "no check knows weights of so few bits")
        return None
    kept = str(flags["dtype"] or flags["torch_dtype"] or "").removeprefix("torch.")
    autocast = "bf16" if flags["bf16"] else "fp16" if flags["fp16"] else ""
    found = {("float32", "bf16"): "bf16", ("float32", "fp16"): "fp16", ("bfloat16", "bf16"): "pure-bf16"}
    if (kept, autocast) not in found:
        for name in ("bf16", "fp16", "dtype", "torch_dtype"):
            flags.not_judged(name, "what weights are kept in and what is computed in are not both on the command line")
    return found.get((kept, autocast))
