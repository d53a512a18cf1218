"""Recipes that cannot work: for each rule the settings that break it, and it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from harness.recipe.rules import RULES
from harness.strategies.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn

Settings = dict[str, Any]
LORA: Settings = {"rank": 4}
PROMPT: Settings = {"method": "p_tuning", "options": {"task_type": "CAUSAL_LM"}}
ON_VISION: Settings = {"rank": 4, "components": ["vision"]}
BESIDE = "non_lora_trainables.bin"

BREAKS: dict[str, Settings] = {
    "one_adapter": {"lora": LORA, "adapter": {"method": "ia3"}},
    "lora_is_lora": {"lora": {"method": "ia3"}},
    "lora_not_on_tuned_component": {"tune": "language", "lora": LORA},
    "something_trains": {},
    "each_component_once": {"tune": ["vision", "connector", "vision"]},
    "last_or_named": {"tune": {"vision": {"last": 1, "named": "norm"}}},
    "part_of_a_component_beside_an_adapter": {"tune": {"vision": {"last": 1}}, "lora": LORA},
    "no_scaler_without_masters": {"tune": "vision", "precision": "pure-fp16", "loss_scaler": "on"},
    "scaler_by_rule_or_by_word": {"tune": "vision", "loss_scaler": {"rule": "fp16", "enabled": "on"}},
    "adapter_saved_without_adapter": {"tune": "vision", "save": {"what": "adapter"}},
    "warmup_within_steps": {"tune": "vision", "steps": 3, "optimizer": {"warmup_steps": 3}},
    "settings_of_native_saves": {"tune": "vision", "save": {"half": True, "resume": True}},
    "half_of_weights_in_fp32": {
        "tune": "vision",
        "precision": "pure-bf16",
        "save": {"what": "native", "half": True},
    },
    "floor_of_a_falling_schedule": {"tune": "vision", "optimizer": {"floor": 0.1}},
    "rates_by_component_or_by_name": {
        "tune": "vision",
        "optimizer": {"component_rates": {"vision": 1.0}, "rate_factors": {"norm": 2}},
    },
    "rates_of_components_that_train": {"tune": "vision", "optimizer": {"component_rates": {"connector": 1.0}}},
    "budget_of_something": {"tune": "vision", "budget": {}},
    "budget_of_one_process": {"tune": "vision", "budget": {"throughput": True}, "processes": 2},
    "budget_of_a_loop_of_steps": {"tune": "vision", "budget": {"memory": True}, "engine": "deepspeed"},
    "agrees_with_one_batch": {"tune": "vision", "agrees_with": "one-batch", "optimizer": {"accumulation": 2}},
    "agrees_with_fp32": {"tune": "vision", "agrees_with": "fp32"},
    "agrees_with_eager": {"tune": "vision", "agrees_with": "eager"},
    "agrees_with_eager_attention": {"tune": "vision", "agrees_with": "eager-attention", "attention": "eager"},
    "agrees_with_one_process": {"tune": "vision", "agrees_with": "one-process"},
    "interrupted_within_the_run": {"tune": "vision", "steps": 3, "interrupted_after": 3},
    "interrupted_where_a_checkpoint_holds_all": {"tune": "vision", "interrupted_after": 1, "processes": 2},
    "agrees_with_uninterrupted": {"tune": "vision", "agrees_with": "uninterrupted"},
    "logging_of_one_plain_loop": {"tune": "vision", "logging": "csv", "processes": 2},
    "reentrant_in_one_process": {"tune": "vision", "checkpointing": "reentrant", "processes": 2},
    "one_process_on_a_gpu": {"tune": "vision", "device": "cuda", "processes": 2},
    "deepspeed_on_the_cpu": {"tune": "vision", "device": "cuda", "engine": "deepspeed"},
    "forked_off_the_gpu": {"tune": "vision", "device": "cuda", "launch": {"by": "torchrun"}},
    "hostfile_of_its_launcher": {"tune": "vision", "launch": {"by": "torchrun", "hostfile": "hosts"}},
    "port_of_a_command": {"tune": "vision", "launch": {"port": 29500}},
    "one_batch_for_each_process": {
        "tune": "vision",
        "processes": 2,
        "data": {"samples": 4},
        "agrees_with": "one-batch",
        "optimizer": {"accumulation": 2, "loss_average": "token"},
    },
    "data_for_each_process": {"tune": "vision", "processes": 2, "data": {"samples": 6}},
    "agrees_with_no_checkpointing": {"tune": "vision", "agrees_with": ["no-checkpointing"]},
    "trainer_scales_fp16_alone": {"tune": "vision", "engine": "trainer", "precision": "bf16", "loss_scaler": "on"},
    "saved_by_a_trainer": {"tune": "vision", "save": {"by": "trainer"}},
    "settings_that_deepspeed_has_its_own_of": {"tune": "vision", "engine": "deepspeed", "optimizer": {"fused": True}},
    "overflow_of_a_scaler": {"tune": "vision", "loss_scaler": {"overflow_at": 1}},
    "one_overflow_and_a_step_after_it": {"tune": "vision", "precision": "fp16", "loss_scaler": {"overflow_at": 3}},
    "agrees_with_torch": {"tune": "vision", "agrees_with": "torch"},
    "full_size_is_planned_only": {"tune": "vision", "size": "full"},
    "options_of_lora_need_lora": {"adapter": {"method": "ia3", "dora": True, "rank": 4}},
    "ranks_given_away_within_steps": {"adapter": {"method": "adalora", "options": {"total_step": 1000, "tfinal": 100}}},
    "prompts_name_no_modules": {"adapter": {**PROMPT, "targets": ["q_proj"], "modules_to_save": ["x"]}},
    "prompts_train_alone": {"tune": "connector", "adapter": PROMPT},
    "prompts_need_a_task": {"adapter": {"method": "P_Tuning"}},
    "prefixes_need_a_cache": {"adapter": {**PROMPT, "method": "prefix_tuning"}, "checkpointing": True},
    "butterflies_need_an_extension": {"adapter": {"method": "boft", "options": {"boft_n_butterfly_factor": 2}}},
    "layers_of_listed_targets": {"lora": {"layers_to_transform": [0], "targets": "all-linear"}},
    "layers_pattern_of_layers": {"adapter": {"layers_pattern": "h", "targets": ["q_proj"]}},
    "biases_of_factors_without_magnitudes": {"lora": {"dora": True, "lora_bias": True}},
    "biases_of_factors_begin_plainly": {"lora": {"init": "gaussian", "lora_bias": True}},
    "options_belong_to_other_methods": {"lora": {"options": {"r": 3}}},
    "other_save_beside_adapter": {"lora": LORA, "save": {"what": "partial"}},
    "files_from_base_beside_whole_weights": {"tune": "vision", "save": {"what": "partial", "files_from_base": True}},
    "tuned_beside_an_adapter_is_one_module": {"tune": "language", "lora": ON_VISION},
    "beside_an_adapter_that_is_saved": {"tune": "vision", "save": {"beside_adapter": BESIDE}},
    "format_of_a_whole_model": {"tune": "vision", "save": {"what": "partial", "format": "bin"}},
    "something_lies_beside_the_adapter": {"lora": LORA, "save": {"beside_adapter": BESIDE}},
    "engine_is_installed": {"tune": "vision", "engine": "abacus"},
    "deepspeed_of_that_engine": {"tune": "vision", "deepspeed": {"stage": 1}},
    "deepspeed_by_fields_or_by_file": {
        "tune": "vision",
        "engine": "deepspeed",
        "deepspeed": {"stage": 2, "config": "zero2.json"},
    },
    "parameters_offloaded_at_stage_3": {
        "tune": "vision",
        "engine": "deepspeed",
        "deepspeed": {"offload_parameters": True},
    },
    "optimizer_offloaded_by_zero": {
        "tune": "vision",
        "engine": "deepspeed",
        "deepspeed": {"stage": 0, "offload_optimizer": True},
    },
    "gathered_by_names_that_deepspeed_knows": {"tune": "vision", "engine": "deepspeed", "save": {"what": "native"}},
    "scale_that_deepspeed_begins_with": {"tune": "vision", "engine": "deepspeed", "precision": "pure-fp16"},
    "ranks_given_away_by_a_plain_loop": {
        "adapter": {"method": "adalora", "options": {"total_step": 4}},
        "engine": "deepspeed",
    },
}


@st.composite
def broken_recipes(
    draw: DrawFn, families: Sequence[str] = FAMILIES, rules: Sequence[str] | None = None
) -> tuple[str, Settings]:
    """The name of a rule, and settings of a recipe that breaks it and no other; what surrounds it is drawn."""
    name = draw(st.sampled_from(sorted(BREAKS) if rules is None else list(rules)))
    broken = BREAKS[name]
    around: Settings = {
        "family": draw(st.sampled_from(list(families))),
        "trust_remote_code": True,
        "seed": draw(st.integers(0, 1000)),
        "tf32": draw(st.booleans()),
    }
    decay = {"weight_decay": draw(st.sampled_from([0.0, 0.1])), "betas": [0.9, draw(st.sampled_from([0.95, 0.999]))]}
    return name, {**around, **broken, "optimizer": {**decay, **broken.get("optimizer", {})}}


def rules_without_a_break() -> set[str]:
    """Rules of which no recipe here breaks any: none, or somebody has added a rule and not its break."""
    return set(RULES) - set(BREAKS)
