"""Faults of runs under DeepSpeed: it goes its way, and what was asked for is not what it does."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam

DEEPSPEED = ("deepspeed",)


def _partitions(recipe: Recipe) -> bool:
    return recipe.deepspeed.asked().stage == 3


def _offloads(recipe: Recipe) -> bool:
    return recipe.deepspeed.asked().offload_optimizer


@fault(
    Seam.ENGINE_OPTIONS,
    caught_by="run.mechanism_active",
    finding="MechanismIdle",
    size="one setting",
    applies=_partitions,
    engines=DEEPSPEED,
)
def too_small_to_be_partitioned(config: Any, moment: Moment) -> None:
    """The persistence threshold is left at DeepSpeed's default: every parameter of a small model stays whole."""
    del config["zero_optimization"]["stage3_param_persistence_threshold"]


@fault(
    Seam.ENGINE_OPTIONS,
    caught_by="run.mechanism_active",
    finding="MechanismIdle",
    size="one section",
    applies=_offloads,
    engines=DEEPSPEED,
)
def offload_left_out(config: Any, moment: Moment) -> None:
    """The section that offloads the optimizer is missing."""
    del config["zero_optimization"]["offload_optimizer"]


@fault(
    Seam.ENGINE_OPTIONS,
    caught_by="run.mechanism_active",
    finding="MechanismIdle",
    size="one number",
    applies=lambda recipe: recipe.deepspeed.asked().stage in (1, 2),
    engines=DEEPSPEED,
)
def without_zero(config: Any, moment: Moment) -> None:
    """The stage that reaches DeepSpeed is nought: every process holds all of the optimizer's state."""
    config["zero_optimization"] = {"stage": 0}


@fault(
    Seam.SAVE_OPTIONS,
    caught_by="saved_weights_whole",
    finding="SavedInParts",
    size="one argument",
    applies=lambda recipe: _partitions(recipe) and recipe.saves == "full",
    engines=DEEPSPEED,
)
def weights_saved_without_gathering(options: Any, moment: Moment) -> None:
    """Under ZeRO-3 the model is saved as it lies in memory: of each tensor there is nothing."""
    del options["state_dict"]


@fault(
    Seam.SAVE_OPTIONS,
    caught_by="saved_weights_whole",
    finding="SavedInParts",
    size="one argument",
    applies=lambda recipe: _partitions(recipe) and recipe.saves == "adapter",
    engines=DEEPSPEED,
)
def adapter_saved_without_gathering(options: Any, moment: Moment) -> None:
    """Under ZeRO-3 the adapter is saved as it lies in memory: its tensors are empty."""
    del options["state_dict"]


@fault(
    Seam.ENGINE_OPTIONS,
    caught_by="configuration_overrides_nothing",
    finding="ConfigurationOverrides",
    size="one section",
    applies=lambda recipe: recipe.optimizer.schedule != "constant",
    engines=DEEPSPEED,
)
def schedule_of_the_configuration(config: Any, moment: Moment) -> None:
    """The JSON brings a schedule, as MiniCPM-V's does: the one that was asked for is not made."""
    config["scheduler"] = {
        "type": "WarmupLR",
        "params": {"warmup_min_lr": 0, "warmup_max_lr": 1e-3, "warmup_num_steps": 1},
    }


@fault(
    Seam.ENGINE_OPTIONS,
    caught_by="configuration_overrides_nothing",
    finding="ConfigurationOverrides",
    size="one section",
    applies=lambda recipe: recipe.optimizer.weight_decay > 0,
    engines=DEEPSPEED,
)
def optimizer_of_the_configuration(config: Any, moment: Moment) -> None:
    """The JSON brings an optimizer: groups collapse into one, whose weight decay pulls at biases and norms."""
    config["optimizer"] = {"type": "AdamW", "params": {"lr": 1e-3, "weight_decay": 0.1, "torch_adam": True}}


@fault(
    Seam.ENGINE_OPTIONS,
    caught_by="configuration_overrides_nothing",
    finding="ConfigurationOverrides",
    size="one setting",
    applies=lambda recipe: recipe.optimizer.clip_norm not in (None, 1.0),  # DeepSpeed's own, from 0.19 on
    engines=DEEPSPEED,
)
def clipping_not_in_the_configuration(config: Any, moment: Moment) -> None:
    """The JSON does not mention clipping, as LLaVA's: DeepSpeed's own default is in force, whatever was asked."""
    del config["gradient_clipping"]


@fault(
    Seam.ENGINE_OPTIONS,
    caught_by="engine_changes_nothing",
    finding="EngineMatters",
    size="one word",
    applies=lambda recipe: "torch" in recipe.agrees_with and recipe.processes > 1,
    engines=DEEPSPEED,
)
def gradients_summed_by_deepspeed(config: Any, moment: Moment) -> None:
    """DeepSpeed is told to sum gradients over the processes, not to average them."""
    config["gradient_allreduce_op"] = "sum"


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_shards_complete",
    finding="ShardsMissing",
    size="one file",
    applies=lambda recipe: not recipe.deepspeed.gather_on_save and recipe.processes > 1,
    engines=DEEPSPEED,
)
def shard_of_second_process_missing(directory: Any, moment: Moment) -> None:
    """What the second process has saved of the optimizer was not copied."""
    for file in directory.glob("global_step*/*zero_pp_rank_1_*_optim_states.pt"):
        file.unlink()


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_shards_complete",
    finding="ShardsOfOtherStep",
    size="one step",
    applies=lambda recipe: not recipe.deepspeed.gather_on_save,
    engines=DEEPSPEED,
)
def shards_of_the_step_before(directory: Any, moment: Moment) -> None:
    """The checkpoint of shards is that of the step before the last."""
    for folder in directory.glob("global_step*"):
        number = int(folder.name.removeprefix("global_step")) - 1
        folder.rename(folder.with_name(f"global_step{number}"))
        (directory / "latest").write_text(f"global_step{number}")


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="skipped_steps_change_nothing",
    finding="ScheduleAdvanced",
    size="one line",
    applies=lambda recipe: recipe.precision == "pure-fp16",
    engines=DEEPSPEED,
)
def schedule_stepped_by_hand(step: Any, moment: Moment) -> None:
    """After each step of the engine, which steps the schedule itself, the trainer steps it once more."""
    step()
    moment.schedule.step()
