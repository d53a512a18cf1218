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
