"""The configuration on its way to DeepSpeed: of a recipe's own fields, or a JSON whose auto values are filled in.

What a recipe says by itself is partitioned however small it is: every parameter is above a persistence threshold of
nought, and a bucket holds no more than a layer or two of a tiny model.
"""

from __future__ import annotations

import copy
import math
from typing import Any

from harness.recipe import Recipe
from harness.recipe.deepspeed import config_at, section_of

BUCKET = 4096  # elements: several to a tiny model, so that reduction and gathering are made of more than one
AUTO = "auto"
AUTOCAST = {"bf16": "bfloat16", "fp16": "float16"}
# What DeepSpeed says on standard output, and how its Adam is made: a C++ operator would have to be compiled for one.
QUIET = {"steps_per_print": None, "wall_clock_breakdown": False}
ON_ANY_OPTIMIZER = {"zero_allow_untested_optimizer": True, "zero_force_ds_cpu_optimizer": False}


def deepspeed_config(recipe: Recipe, hidden_size: int) -> dict[str, Any]:
    """What `deepspeed.initialize` is given. `hidden_size` is the model's, from which transformers fills in buckets."""
    asked = recipe.deepspeed
    own = filled(config_at(asked.config), recipe, hidden_size) if asked.config else _zero(recipe)
    config = {**ON_ANY_OPTIMIZER, **QUIET, **own, **_batches(recipe)}
    if recipe.precision in AUTOCAST:
        config["torch_autocast"] = {"enabled": True, "dtype": AUTOCAST[recipe.precision]}
    if recipe.precision == "pure-bf16" and "bf16" not in own:
        config["bf16"] = {"enabled": True}
    if recipe.precision == "pure-fp16":
        config["fp16"] = {**_loss_scale(recipe), **section_of(own, "fp16")}
    if not asked.config and recipe.optimizer.clip_norm is not None:
        config["gradient_clipping"] = recipe.optimizer.clip_norm
    return config


def _loss_scale(recipe: Recipe) -> dict[str, Any]:
    """DeepSpeed's scale of losses: it begins at a power of two, and is halved at each overflow."""
    asked = recipe.loss_scaler
    return {
        "enabled": True,
        "loss_scale": 0,
        "initial_scale_power": int(math.log2(asked.init_scale or 2.0**16)),
        "loss_scale_window": asked.growth_interval,
        "hysteresis": 1,
    }


def _batches(recipe: Recipe) -> dict[str, Any]:
    size, accumulation = recipe.data.batch_size, recipe.optimizer.accumulation
    return {
        "train_micro_batch_size_per_gpu": size,
        "gradient_accumulation_steps": accumulation,
        "train_batch_size": size * accumulation * recipe.processes,
    }


def _zero(recipe: Recipe) -> dict[str, Any]:
    asked = recipe.deepspeed.asked()
    section: dict[str, Any] = {
        "stage": asked.stage,
        "reduce_bucket_size": BUCKET,
        "allgather_bucket_size": BUCKET,
        "overlap_comm": False,
    }
    if asked.offload_optimizer:
        section["offload_optimizer"] = {"device": "cpu"}
    if asked.stage == 3:
        section |= {
            "stage3_param_persistence_threshold": 0,
            "stage3_prefetch_bucket_size": BUCKET,
            "stage3_max_live_parameters": BUCKET,
            "stage3_gather_16bit_weights_on_model_save": recipe.deepspeed.gather_on_save,
        }
        if asked.offload_parameters:
            section["offload_param"] = {"device": "cpu"}
    return {"zero_optimization": section}


def filled(config: dict[str, Any], recipe: Recipe, hidden_size: int) -> dict[str, Any]:
    """A DeepSpeed JSON with its auto values as transformers' trainer fills them in from a recipe's settings.

    What a JSON does not mention stays unmentioned: without `gradient_clipping` DeepSpeed clips to what it likes.
    Where it makes an optimizer itself, that is torch's AdamW: DeepSpeed's own is an operator still to be compiled.
    """
    config = copy.deepcopy(config)
    asked = recipe.optimizer
    known: dict[str, dict[str, Any]] = {
        "optimizer.params": {
            "lr": asked.learning_rate,
            "betas": list(asked.betas),
            "eps": asked.eps,
            "weight_decay": asked.weight_decay,
        },
        "scheduler.params": {
            "warmup_min_lr": 0,
            "warmup_max_lr": asked.learning_rate,
            "warmup_num_steps": max(1, asked.warmup_steps),
            "total_num_steps": recipe.steps,
        },
        "zero_optimization": {
            "reduce_bucket_size": hidden_size * hidden_size,
            "stage3_prefetch_bucket_size": int(0.9 * hidden_size * hidden_size),
            "stage3_param_persistence_threshold": 10 * hidden_size,
        },
        "bf16": {"enabled": recipe.precision == "pure-bf16"},
        "fp16": {"enabled": recipe.precision == "pure-fp16"},
        "": {"gradient_clipping": asked.clip_norm or 0.0},
    }
    for dotted, values in known.items():
        section = config
        for name in filter(None, dotted.split(".")):
            section = section_of(section, name)
        section.update({name: value for name, value in values.items() if section.get(name) == AUTO})
    if "optimizer" in config and config["optimizer"].get("type") in ("Adam", "AdamW"):
        config["optimizer"].setdefault("params", {}).setdefault("torch_adam", True)
    return {name: value for name, value in config.items() if value != AUTO}
