"""Settings that cannot work together: every rule has a recipe that breaks it and is refused by its words."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from harness.recipe import Recipe
from harness.recipe.rules import RULES, broken_rule
from harness.strategies.broken import BESIDE, BREAKS, LORA, ON_VISION, PROMPT

WORDS: dict[str, tuple[str, ...]] = {
    "one_adapter": ("lora", "adapter"),
    "lora_is_lora": ("lora", "method"),
    "lora_not_on_tuned_component": ("tune", "lora.components"),
    "something_trains": ("tune", "adapter"),
    "each_component_once": ("tune", "vision"),
    "last_or_named": ("last", "named"),
    "part_of_a_component_beside_an_adapter": ("tune", "adapter"),
    "no_scaler_without_masters": ("precision", "loss_scaler"),
    "scaler_by_rule_or_by_word": ("loss_scaler.rule", "loss_scaler.enabled"),
    "adapter_saved_without_adapter": ("save.what", "adapter"),
    "warmup_within_steps": ("optimizer.warmup_steps", "steps"),
    "settings_of_native_saves": ("save.half, save.resume", "save.what full"),
    "half_of_weights_in_fp32": ("save.half", "precision pure-bf16"),
    "floor_of_a_falling_schedule": ("optimizer.floor 0.1", "optimizer.schedule constant"),
    "rates_by_component_or_by_name": ("optimizer.component_rates", "optimizer.rate_factors"),
    "rates_of_components_that_train": ("optimizer.component_rates", "connector"),
    "agrees_with_one_batch": ("agrees_with one-batch", "optimizer.loss_average"),
    "agrees_with_fp32": ("agrees_with fp32", "precision fp32"),
    "agrees_with_eager": ("agrees_with eager", "data.lazy is off"),
    "agrees_with_eager_attention": ("agrees_with eager-attention", "attention is eager"),
    "agrees_with_one_process": ("agrees_with one-process", "processes is 1"),
    "interrupted_within_the_run": ("interrupted_after 3", "steps 3"),
    "interrupted_where_a_checkpoint_holds_all": ("interrupted_after", "processes 2"),
    "agrees_with_uninterrupted": ("agrees_with uninterrupted", "nothing interrupts"),
    "budget_of_something": ("throughput", "memory"),
    "budget_of_one_process": ("budget", "processes 2"),
    "budget_of_a_loop_of_steps": ("budget", "engine deepspeed"),
    "logging_of_one_plain_loop": ("logging csv", "processes 2"),
    "reentrant_in_one_process": ("checkpointing reentrant", "processes 2"),
    "one_process_on_a_gpu": ("device cuda", "processes 2"),
    "deepspeed_on_the_cpu": ("device cuda", "engine deepspeed"),
    "forked_off_the_gpu": ("device cuda", "launch.by torchrun"),
    "hostfile_of_its_launcher": ("launch.hostfile hosts", "launch.by torchrun"),
    "port_of_a_command": ("launch.port 29500", "launch.by fork"),
    "one_batch_for_each_process": ("agrees_with one-batch", "data.samples 4 over 2 processes"),
    "data_for_each_process": ("data.samples 6", "2 processes in batches of 2"),
    "agrees_with_no_checkpointing": ("agrees_with no-checkpointing", "checkpointing is off"),
    "trainer_scales_fp16_alone": ("engine trainer", "precision bf16"),
    "saved_by_a_trainer": ("save.by trainer", "engine torch"),
    "settings_that_deepspeed_has_its_own_of": ("optimizer.fused", "engine deepspeed"),
    "overflow_of_a_scaler": ("loss_scaler.overflow_at 1", "no loss_scaler is on"),
    "one_overflow_and_a_step_after_it": ("loss_scaler.overflow_at 3", "steps 4"),
    "agrees_with_torch": ("agrees_with torch", "engine torch"),
    "full_size_is_planned_only": ("size", "full"),
    "options_of_lora_need_lora": ("dora, rank", "ia3"),
    "ranks_given_away_within_steps": ("adapter.options.total_step 1000", "steps 4", "target_r"),
    "prompts_name_no_modules": ("adapter: modules_to_save, targets", "method p_tuning"),
    "prompts_train_alone": ("tune names connector", "adapter.method"),
    "prompts_need_a_task": ("adapter.method p_tuning", "adapter.options.task_type"),
    "prefixes_need_a_cache": ("checkpointing", "adapter.method prefix_tuning"),
    "butterflies_need_an_extension": ("adapter.options.boft_n_butterfly_factor 2", "engine torch"),
    "layers_of_listed_targets": ("lora.layers_to_transform", "lora.targets"),
    "layers_pattern_of_layers": ("adapter.layers_pattern", "adapter.layers_to_transform"),
    "biases_of_factors_without_magnitudes": ("lora.lora_bias", "lora.dora"),
    "biases_of_factors_begin_plainly": ("lora.lora_bias", "lora.init gaussian"),
    "options_belong_to_other_methods": ("lora.options", "r"),
    "other_save_beside_adapter": ("save.what", "adapter"),
    "files_from_base_beside_whole_weights": ("save.files_from_base", "save.what"),
    "tuned_beside_an_adapter_is_one_module": ("tune", "adapter"),
    "beside_an_adapter_that_is_saved": ("save.beside_adapter", "an adapter"),
    "format_of_a_whole_model": ("save.format", "save.what"),
    "something_lies_beside_the_adapter": ("beside", "tune"),
    "engine_is_installed": ("engine", "abacus"),
    "deepspeed_of_that_engine": ("deepspeed.stage", "engine torch"),
    "deepspeed_by_fields_or_by_file": ("deepspeed.config zero2.json", "stage or offload"),
    "parameters_offloaded_at_stage_3": ("deepspeed.offload_parameters", "deepspeed.stage 2"),
    "optimizer_offloaded_by_zero": ("deepspeed.offload_optimizer", "deepspeed.stage 0"),
    "gathered_by_names_that_deepspeed_knows": ("engine deepspeed", "save.what native"),
    "scale_that_deepspeed_begins_with": ("precision pure-fp16", "loss_scaler.init_scale"),
    "ranks_given_away_by_a_plain_loop": ("engine deepspeed", "adapter.method adalora"),
}

MENDED: dict[str, dict[str, Any]] = {
    "agrees_with_one_batch": {
        "tune": "vision",
        "agrees_with": "one-batch",
        "optimizer": {"accumulation": 2, "loss_average": "token"},
    },
    "one_batch_for_each_process": {
        "tune": "vision",
        "processes": 2,
        "data": {"samples": 8},
        "agrees_with": "one-batch",
        "optimizer": {"accumulation": 2, "loss_average": "token"},
    },
    "agrees_with_fp32": {"tune": "vision", "agrees_with": "fp32", "precision": "bf16"},
    "agrees_with_eager": {"tune": "vision", "agrees_with": "eager", "data": {"lazy": True}},
    "agrees_with_no_checkpointing": {"tune": "vision", "agrees_with": ["no-checkpointing"], "checkpointing": True},
    "agrees_with_eager_attention": {"tune": "vision", "agrees_with": "eager-attention", "attention": "sdpa"},
    "trainer_scales_fp16_alone": {"tune": "vision", "engine": "trainer", "precision": "fp16", "loss_scaler": "on"},
    "saved_by_a_trainer": {"tune": "vision", "engine": "trainer", "save": {"by": "trainer"}},
    "settings_that_deepspeed_has_its_own_of": {"tune": "vision", "engine": "trainer", "optimizer": {"fused": True}},
    "overflow_of_a_scaler": {"tune": "vision", "precision": "fp16", "loss_scaler": {"overflow_at": 2}},
    "one_overflow_and_a_step_after_it": {"tune": "vision", "precision": "fp16", "loss_scaler": {"overflow_at": 0}},
    "agrees_with_torch": {"tune": "vision", "engine": "trainer", "agrees_with": "torch"},
    "agrees_with_one_process": {
        "tune": "vision",
        "agrees_with": "one-process",
        "processes": 2,
        "optimizer": {"loss_average": "token"},
    },
    "interrupted_within_the_run": {"tune": "vision", "steps": 3, "interrupted_after": 2},
    "interrupted_where_a_checkpoint_holds_all": {"tune": "vision", "interrupted_after": 1},
    "agrees_with_uninterrupted": {"tune": "vision", "agrees_with": "uninterrupted", "interrupted_after": 1},
    "budget_of_something": {"tune": "vision", "budget": {"throughput": {"of_bare": 0.5}}},
    "budget_of_one_process": {"tune": "vision", "budget": {"throughput": True}},
    "budget_of_a_loop_of_steps": {"tune": "vision", "budget": {"memory": True}},
    "logging_of_one_plain_loop": {"tune": "vision", "logging": "csv"},
    "reentrant_in_one_process": {"tune": "vision", "checkpointing": True, "processes": 2},
    "one_process_on_a_gpu": {"tune": "vision", "device": "cuda"},
    "deepspeed_on_the_cpu": {"tune": "vision", "engine": "deepspeed"},
    "forked_off_the_gpu": {"tune": "vision", "launch": {"by": "torchrun"}},
    "hostfile_of_its_launcher": {"tune": "vision", "launch": {"by": "deepspeed", "hostfile": "hosts"}},
    "port_of_a_command": {"tune": "vision", "launch": {"by": "torchrun", "port": 29500}},
    "data_for_each_process": {"tune": "vision", "processes": 2, "data": {"samples": 8}},
    "one_adapter": {"adapter": {"method": "ia3"}},
    "lora_is_lora": {"adapter": {"method": "ia3"}},
    "lora_not_on_tuned_component": {"tune": "connector", "lora": LORA},
    "something_trains": {"lora": LORA},
    "each_component_once": {"tune": ["vision", "connector"]},
    "last_or_named": {"tune": {"vision": {"named": "norm"}}},
    "part_of_a_component_beside_an_adapter": {"tune": "vision", "lora": LORA},
    "no_scaler_without_masters": {"tune": "vision", "precision": "pure-fp16", "loss_scaler": "off"},
    "scaler_by_rule_or_by_word": {"tune": "vision", "loss_scaler": {"rule": "fp16"}},
    "adapter_saved_without_adapter": {"lora": LORA, "save": {"what": "adapter"}},
    "warmup_within_steps": {"tune": "vision", "steps": 3, "optimizer": {"warmup_steps": 2}},
    "settings_of_native_saves": {"tune": "vision", "save": {"what": "native", "half": True, "resume": True}},
    "half_of_weights_in_fp32": {"tune": "vision", "precision": "bf16", "save": {"what": "native", "half": True}},
    "floor_of_a_falling_schedule": {"tune": "vision", "optimizer": {"floor": 0.1, "schedule": "cosine"}},
    "rates_by_component_or_by_name": {"tune": "vision", "optimizer": {"rate_factors": {"norm": 2}}},
    "rates_of_components_that_train": {"lora": LORA, "optimizer": {"component_rates": {"language": 1.0}}},
    "full_size_is_planned_only": {"tune": "vision", "size": "tiny"},
    "options_of_lora_need_lora": {"adapter": {"method": "LoRA", "dora": True, "rank": 4}},
    "ranks_given_away_within_steps": {"adapter": {"method": "adalora", "options": {"total_step": 4, "tfinal": 0}}},
    "prompts_name_no_modules": {"adapter": PROMPT},
    "prompts_train_alone": {"adapter": PROMPT},
    "prompts_need_a_task": {"adapter": PROMPT},
    "prefixes_need_a_cache": {"adapter": {**PROMPT, "method": "prefix_tuning"}},
    "butterflies_need_an_extension": {"adapter": {"method": "boft", "options": {"boft_n_butterfly_factor": 1}}},
    "layers_of_listed_targets": {"lora": {"layers_to_transform": [0], "targets": ["q_proj"]}},
    "layers_pattern_of_layers": {"adapter": {"layers_pattern": "h", "layers_to_transform": [0], "targets": ["q_proj"]}},
    "biases_of_factors_without_magnitudes": {"lora": {"lora_bias": True}},
    "biases_of_factors_begin_plainly": {"lora": {"lora_bias": True, "init": False}},
    "options_belong_to_other_methods": {"adapter": {"method": "ia3", "options": {"r": 3}}},
    "other_save_beside_adapter": {"lora": LORA, "save": {"what": "auto"}},
    "files_from_base_beside_whole_weights": {"tune": "vision", "save": {"files_from_base": True}},
    "tuned_beside_an_adapter_is_one_module": {"tune": "connector", "lora": ON_VISION},
    "format_of_a_whole_model": {"tune": "vision", "save": {"format": "bin"}},
    "beside_an_adapter_that_is_saved": {"tune": "vision", "lora": LORA, "save": {"beside_adapter": BESIDE}},
    "something_lies_beside_the_adapter": {
        "tune": {"vision": {"last": 1}},
        "lora": LORA,
        "save": {"beside_adapter": BESIDE},
    },
    "engine_is_installed": {"tune": "vision", "engine": "torch"},
    "deepspeed_of_that_engine": {"tune": "vision", "engine": "deepspeed", "deepspeed": {"stage": 1}},
    "deepspeed_by_fields_or_by_file": {
        "tune": "vision",
        "engine": "deepspeed",
        "deepspeed": {"config": "zero2.json", "gather_on_save": False},
    },
    "parameters_offloaded_at_stage_3": {
        "tune": "vision",
        "engine": "deepspeed",
        "deepspeed": {"stage": 3, "offload_parameters": True},
    },
    "optimizer_offloaded_by_zero": {
        "tune": "vision",
        "engine": "deepspeed",
        "deepspeed": {"stage": 1, "offload_optimizer": True},
    },
    "gathered_by_names_that_deepspeed_knows": {"tune": "vision", "engine": "deepspeed", "save": {"what": "full"}},
    "scale_that_deepspeed_begins_with": {
        "tune": "vision",
        "engine": "deepspeed",
        "precision": "pure-fp16",
        "loss_scaler": {"init_scale": 65536},
    },
    "ranks_given_away_by_a_plain_loop": {"lora": LORA, "engine": "deepspeed"},
}


def unchecked(settings: dict[str, Any]) -> Recipe:
    """The recipe as it would be without any rule."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.recipe.model.broken_rule", lambda recipe: None)
        return Recipe.model_validate({"family": "f", **settings})


def test_every_rule_has_a_case() -> None:
    assert set(BREAKS) == set(WORDS) == set(RULES) == set(MENDED)


@pytest.mark.parametrize("rule", BREAKS)
def test_a_recipe_that_breaks_a_rule_is_refused(refusal_of_recipe: Callable[[dict[str, Any]], str], rule: str) -> None:
    settings, named = BREAKS[rule], WORDS[rule]

    broken = broken_rule(unchecked(settings))
    line = refusal_of_recipe(settings)

    assert broken is not None
    assert broken.rule == rule
    assert line == f"{broken.what}; {broken.do}"
    assert all(setting in broken.what for setting in named)


@pytest.mark.parametrize("rule", MENDED)
def test_the_remedy_works(rule: str) -> None:
    assert broken_rule(Recipe.model_validate({"family": "f", **MENDED[rule]})) is None


@pytest.mark.parametrize("precision", ["pure-fp16", "pure-bf16", "fp32", "bf16"])
def test_a_scaler_left_to_itself_is_off_where_there_is_nothing_to_scale(precision: str) -> None:
    assert not Recipe.model_validate({"family": "f", "tune": "vision", "precision": precision}).scaler_enabled


@pytest.mark.parametrize(
    ("rule", "on"),
    [
        (None, {"fp16"}),
        ("fp16", {"fp16"}),
        ("fp16-and-bf16", {"fp16", "bf16"}),
        ("always", {"fp32", "bf16", "fp16", "pure-bf16"}),
        ("never", set()),
    ],
)
def test_a_scaler_goes_by_the_rule(rule: str | None, on: set[str]) -> None:
    settings: dict[str, Any] = {"family": "f", "tune": "vision", "loss_scaler": {"rule": rule}}
    precisions = ["fp32", "bf16", "fp16", "pure-bf16"]
    recipes = {precision: Recipe.model_validate({**settings, "precision": precision}) for precision in precisions}

    assert {precision for precision, recipe in recipes.items() if recipe.scaler_enabled} == on


def test_lora_on_a_fully_tuned_union_names_the_member_that_collides() -> None:
    with pytest.raises(ValidationError, match=r"both name language.*remove language from tune, or from"):
        Recipe.model_validate({"family": "f", "tune": "llm", "lora": LORA})


def test_another_method_is_named_as_adapter() -> None:
    with pytest.raises(ValidationError, match=r"tune and adapter\.components both name language"):
        Recipe.model_validate({"family": "f", "tune": "language", "adapter": {"method": "ia3"}})


@pytest.mark.parametrize(
    ("steps", "precision", "options", "refusal"),
    [
        pytest.param(4, "fp32", {}, "no total_step", id="not said"),
        pytest.param(4, "fp32", {"total_step": 5}, "never come down", id="one too many"),
        pytest.param(4, "fp32", {"total_step": 5, "tfinal": 1}, None, id="the last is for the ranks that are left"),
        pytest.param(4, "fp16", {"total_step": 4}, "never come down", id="one is skipped on purpose"),
        pytest.param(4, "fp16", {"total_step": 4, "tfinal": 1}, None, id="skipped, and within reach"),
    ],
)
def test_ranks_come_down_within_the_steps(
    steps: int, precision: str, options: dict[str, int], refusal: str | None
) -> None:
    settings = {"steps": steps, "precision": precision, "adapter": {"method": "adalora", "options": options}}
    broken = broken_rule(unchecked(settings))

    assert (broken is None) is (refusal is None)
    assert broken is None or str(refusal) in broken.what


def test_agreement_with_fp32_takes_no_scaler_that_overflows_on_purpose() -> None:
    settings = {"family": "llava-1.5-7b", "tune": "vision", "agrees_with": "fp32", "precision": "fp16"}
    with pytest.raises(ValidationError, match="overflows on purpose"):
        Recipe.model_validate(settings)
    assert Recipe.model_validate({**settings, "loss_scaler": {"init_scale": 65536}}).scaler_enabled


def test_agreement_with_one_batch_needs_several_micro_batches() -> None:
    settings = {"family": "llava-1.5-7b", "tune": "vision", "agrees_with": "one-batch"}
    with pytest.raises(ValidationError, match=r"optimizer\.accumulation is 1: there is one batch"):
        Recipe.model_validate(settings)
    settings["optimizer"] = {"accumulation": 2, "loss_average": "token"}
    assert Recipe.model_validate(settings).agrees_with == ("one-batch",)


def test_agreement_with_another_engine_takes_no_dropout() -> None:
    settings = {"family": "llava-1.5-7b", "engine": "trainer", "agrees_with": "torch", "lora": {"dropout": 0.05}}
    with pytest.raises(ValidationError, match=r"dropout 0\.05: each engine draws other numbers"):
        Recipe.model_validate(settings)
    assert Recipe.model_validate({**settings, "lora": {}}).agrees_with == ("torch",)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 4, "loss_scaler": {"overflow_at": 1}}, "step 3 would overflow, too; set steps: 3 or fewer"),
        ({"steps": 3, "loss_scaler": {"overflow_at": 2}}, "no step comes after the one that overflows"),
        ({"loss_scaler": {"overflow_at": 2, "init_scale": 8}}, "overflow_at 2 and loss_scaler.init_scale"),
    ],
)
def test_an_overflow_is_one_and_made_by_the_scale_alone(settings: dict[str, Any], words: str) -> None:
    common = {"family": "llava-1.5-7b", "tune": "vision", "precision": "fp16"}
    with pytest.raises(ValidationError, match=words):
        Recipe.model_validate({**common, **settings})
    assert Recipe.model_validate({**common, "steps": 3, "loss_scaler": {"overflow_at": 1}}).scaler_enabled


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"engine": "trainer"}, "interrupted_after and engine trainer"),
        ({"tune": [], "adapter": {"method": "adalora", "options": {"total_step": 4, "tfinal": 0}}}, "adalora"),
    ],
)
def test_what_no_checkpoint_holds_is_not_interrupted(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Recipe.model_validate({"family": "f", "tune": "vision", "interrupted_after": 1, **settings})


@pytest.mark.parametrize(
    ("save", "words"),
    [
        ({"what": "partial"}, "a trainer saves a whole model, or an adapter"),
        ({"max_shard_size": "1GB"}, "nobody can tell a trainer of it"),
    ],
)
def test_a_trainer_saves_what_trainers_save(save: dict[str, Any], words: str) -> None:
    common = {"family": "llava-1.5-7b", "tune": "vision", "engine": "trainer"}
    with pytest.raises(ValidationError, match=words):
        Recipe.model_validate({**common, "save": {"by": "trainer", **save}})
