"""Faults of going on after an interruption: one part of the checkpoint is not restored, or rounded."""

from __future__ import annotations

import functools
from typing import Any

from harness.faults.registry import fault
from harness.faults.steps_taken import groups
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _agrees_with_uninterrupted(recipe: Recipe) -> bool:
    return "uninterrupted" in recipe.agrees_with


def _falling(recipe: Recipe) -> bool:
    """Whether the rate falls, and a second step is taken after the interruption: the first has the optimizer's rate."""
    going_on = _agrees_with_uninterrupted(recipe) and len(groups(recipe)) > 1
    return going_on and recipe.optimizer.schedule != "constant"


def _scaled(recipe: Recipe) -> bool:
    """Whether the scale is another by then than it was at first: it was lowered after the first step."""
    first = recipe.loss_scaler.init_scale is None and not recipe.loss_scaler.overflow_at
    return _agrees_with_uninterrupted(recipe) and recipe.scaler_enabled and first


def _has_seen_other_data(recipe: Recipe) -> bool:
    """Whether the data that follow are not those that it began with."""
    if not _agrees_with_uninterrupted(recipe):
        return False
    steps = -(-recipe.epoch // recipe.optimizer.accumulation) if recipe.epoch else 0
    return not steps or (recipe.interrupted_after or 0) % steps != 0


def _has_weights_in_32_bits(recipe: Recipe) -> bool:
    return _agrees_with_uninterrupted(recipe) and not recipe.precision.startswith("pure-")


def _drops(recipe: Recipe) -> bool:
    return _agrees_with_uninterrupted(recipe) and recipe.peft is not None and recipe.peft.dropout > 0


resumed = functools.partial(
    fault, Seam.RESUMED, caught_by="resumed_equals_uninterrupted", finding="ResumedElsewhere", size="one part"
)


@resumed(applies=_agrees_with_uninterrupted)
def optimizer_state_not_restored(state: dict[str, Any], moment: Moment) -> None:
    """Training goes on without the moments of the optimizer."""
    state["optimizer"]["state"] = {}


@resumed(applies=_falling)
def schedule_begins_anew(state: dict[str, Any], moment: Moment) -> None:
    """The schedule counts its steps from nought again."""
    state["schedule"]["last_epoch"] = 0


@resumed(applies=_scaled)
def scaler_begins_anew(state: dict[str, Any], moment: Moment) -> None:
    """The gradient scaler has its first scale again."""
    state["scaler"] = None


@resumed(applies=_drops)
def random_numbers_begin_anew(state: dict[str, Any], moment: Moment) -> None:
    """Random numbers are those that a new process draws."""
    state["random"] = None


@resumed(applies=_has_seen_other_data)
def data_begin_anew(state: dict[str, Any], moment: Moment) -> None:
    """The data are taken from their beginning again."""
    state["place"] = 0


@resumed(applies=_has_weights_in_32_bits)
def weights_of_checkpoint_halved(state: dict[str, Any], moment: Moment) -> None:
    """The weights of the checkpoint are rounded to fp16 beside an optimizer's state in fp32."""
    state["weights"] = {name: tensor.half() for name, tensor in state["weights"].items()}
