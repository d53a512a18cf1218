"""transformers' TrainingArguments, which most trainers share: what each promises, with DeepSpeed's JSON.

Precision is read by each system for itself: whether `--bf16` is autocast or the weights' own is the script's doing.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.intents.commands.flags import Flag, Flags, silent
from harness.recipe.deepspeed import config_at, section_of
from harness.refusal import Refused

if TYPE_CHECKING:
    from harness.intents.commands.shell import Command

TABLE: dict[str, Flag] = {
    "bf16": Flag("computes in bfloat16", "bool", False),
    "fp16": Flag("computes in float16, with a gradient scaler", "bool", False),
    "tf32": Flag("fp32 may be computed in TF32, or may not", "bool"),
    "gradient_accumulation_steps": Flag("micro-batches of a step", "int", 1),
    "gradient_checkpointing": Flag("layers are computed again in the backward pass", "bool", False),
    "max_grad_norm": Flag("gradients are clipped to this norm", "float", 1.0),
    "learning_rate": Flag("the rate", "float"),
    "weight_decay": Flag("decays matrices, not biases and norms", "float", 0.0),
    "lr_scheduler_type": Flag("how the rate falls", "text", "linear"),
    "warmup_ratio": Flag("the part of all steps in which the rate rises", "float", 0.0),
    "warmup_steps": Flag("the steps in which the rate rises", "float", 0),
    "max_steps": Flag("how many steps there are", "int", -1),
    "deepspeed": Flag("ZeRO's stage, and what is offloaded"),
    "attn_implementation": Flag("how attention is computed"),
    "save_strategy": Flag("whether checkpoints are written on the way", "text"),
    **silent("output_dir", "run_name", "report_to", "num_train_epochs", "per_device_train_batch_size", "logging_dir",
             "per_device_eval_batch_size", "evaluation_strategy", "eval_strategy", "eval_steps", "save_steps", "seed",
             "save_total_limit", "logging_steps", "logging_strategy", "dataloader_num_workers", "optim", "data_seed",
             "adam_beta1", "adam_beta2", "adam_epsilon", "local_rank", "ddp_timeout", "hub_model_id", "label_names",
             "model_revision", "resume_from_checkpoint", "torch_compile_backend", "save_safetensors", "log_level",
             "lr_scheduler_kwargs", "gradient_checkpointing_kwargs", "fsdp", "fsdp_config", "cache_dir"),
    **silent("do_train", "do_eval", "overwrite_output_dir", "remove_unused_columns", "push_to_hub", "group_by_length",
             "ddp_find_unused_parameters", "load_best_model_at_end", "torch_compile", "dataloader_pin_memory",
             "logging_first_step", "include_num_input_tokens_seen", "disable_tqdm", "dataloader_drop_last",
             "prediction_loss_only", "fp16_full_eval", "bf16_full_eval", kind="bool"),
}  # fmt: skip
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant", "constant_with_warmup": "constant"}
# What the DeepSpeed files hold that the systems ship, where they are not at hand: stage, and what is offloaded.
SHIPPED: dict[str, dict[str, Any]] = {
    "zero2.json": {"zero_optimization": {"stage": 2}},
    # It lists offload_param too, which DeepSpeed heeds at stage 3 alone.
    "zero2_offload.json": {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}},
    "zero3.json": {"zero_optimization": {"stage": 3}},
    "ds_config_zero2.json": {"zero_optimization": {"stage": 2}, "gradient_clipping": "auto", "scheduler": {}},
    "ds_config_zero3.json": {"zero_optimization": {"stage": 3}, "gradient_clipping": "auto", "scheduler": {}},
}


def settings_of(flags: Flags, command: Command) -> dict[str, Any]:
    """What the arguments of transformers' trainer promise, but for the precision."""
    config = deepspeed_config(flags)
    settings: dict[str, Any] = {
        "accumulation": flags["gradient_accumulation_steps"],
        "clip_norm": _clip_norm(flags, config),
        "checkpointing": True if flags["gradient_checkpointing"] else None,
        "tf32": flags["tf32"],
        "steps": flags["max_steps"] if flags["max_steps"] > 0 else None,
        "optimizer": _optimizer(flags, config),
        "zero": _zero(flags, config),
        "processes": processes_of(command),
    }
    if flags["attn_implementation"] in ("eager", "sdpa"):
        settings["attention"] = flags["attn_implementation"]
    flags.not_judged("attn_implementation", "no check knows this one") if "attention" not in settings else None
    flags.not_judged("save_strategy", "what is judged is the last saved directory")
    return settings


def deepspeed_config(flags: Flags) -> dict[str, Any] | None:
    """The DeepSpeed JSON that is named: read where it is at hand, known where a system ships it."""
    given = flags["deepspeed"]
    if not given:
        return None
    if Path(given).is_file():
        return config_at(given)
    shipped = SHIPPED.get(Path(given).name)
    if shipped is None:
        flags.not_judged("deepspeed", "the file is not at hand here")
    return shipped


def _zero(flags: Flags, config: dict[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    section = section_of(config, "zero_optimization")
    stage = section.get("stage", 0)
    if stage not in (0, 1, 2, 3):
        raise Refused(f"zero_optimization.stage is {stage!r}", where=str(flags["deepspeed"]), do="write 0, 1, 2 or 3")
    offloads = {
        "offload_optimizer": _on_host(section, "offload_optimizer"),
        "offload_parameters": stage == 3 and _on_host(section, "offload_param"),
    }
    return {"stage": stage, **{name: True for name, on in offloads.items() if on}}


def _on_host(section: dict[str, Any], name: str) -> bool:
    return section_of(section, name).get("device", "none") not in (None, "none")


def _clip_norm(flags: Flags, config: dict[str, Any] | None) -> float | None:
    """The limit: under DeepSpeed its own, which may be told to be the trainer's."""
    asked = flags["max_grad_norm"]
    if config is not None:
        own = config.get("gradient_clipping")
        if own is None:
            flags.not_judged("max_grad_norm", "the DeepSpeed JSON has no gradient_clipping")
            return None
        asked = asked if own == "auto" else own
    return float(asked) or None


def _optimizer(flags: Flags, config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Rate, schedule and decay, where all that they depend on is on the command line."""
    rate, schedule, steps = flags["learning_rate"], SCHEDULES.get(flags["lr_scheduler_type"]), flags["max_steps"]
    warms = bool(flags["warmup_ratio"] or flags["warmup_steps"]) and flags["lr_scheduler_type"] != "constant"
    why = ""
    if config is not None and "scheduler" in config:
        why = "the DeepSpeed JSON has a scheduler of its own, which overrides the schedule"
    elif schedule is None:
        why = f"no check knows the schedule {flags['lr_scheduler_type']}"
    elif steps <= 0 and (schedule != "constant" or (warms and flags["warmup_ratio"])):
        why = "how many steps there will be is not on the command line"
    if why or not rate:
        for name in ("learning_rate", "lr_scheduler_type", "warmup_ratio", "warmup_steps", "weight_decay"):
            flags.not_judged(name, why or "no rate is given")
        return None
    settings: dict[str, Any] = {"learning_rate": rate, "schedule": schedule, "weight_decay": flags["weight_decay"]}
    if warms:
        warm = flags["warmup_steps"] or math.ceil(steps * flags["warmup_ratio"])
        settings |= {"warmup_steps": int(warm), "warmup_from_zero": True}
    return settings


def processes_of(command: Command) -> int | None:
    """How many processes the launcher starts on how many machines, where it says so in numbers."""
    each = next(
        (command.launched[name] for name in ("--nproc_per_node", "--nproc-per-node", "--num_gpus", "--num_processes")
         if name in command.launched), "")  # fmt: skip
    nodes = next((command.launched[name] for name in ("--nnodes", "--num_nodes") if name in command.launched), "1")
    if include := command.launched.get("--include", ""):
        each = str(len(include.rpartition(":")[2].split(",")))
    if not each.isdecimal() or not nodes.isdecimal():
        return None
    return int(each) * (1 if "--num_processes" in command.launched else int(nodes))
