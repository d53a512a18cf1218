"""Faults in what trains and what the optimizer holds."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.faults.where import (
    LAST_NORM,
    TOWERS,
    first_frozen,
    first_trained,
    freezes_image_path,
    freezes_something,
    has_tower,
    hide_tower,
    is_adalora,
    tunes_something,
    tunes_tower_and_more,
    tunes_tower_that_ends_early,
)
from harness.recipe import Recipe
from harness.seams import Moment, Seam

NO_BUFFERS = ("minicpm-v-2", "minicpm-v-4.6", "minicpm-v-4.7")  # of these neither tower nor connector has one


def _has_frozen_buffer(recipe: Recipe) -> bool:
    return freezes_image_path(recipe) and has_tower(recipe) and recipe.family not in NO_BUFFERS


@fault(
    Seam.AFTER_TUNING,
    caught_by="trainable_set_as_intended",
    finding="WronglyTrainable",
    size="one parameter",
    applies=freezes_something,
)
def thaw_one_parameter(model: Any, moment: Moment) -> None:
    """One frozen parameter is set to train."""
    first_frozen(model).requires_grad_(True)


@fault(
    Seam.AFTER_TUNING,
    caught_by="trainable_set_as_intended",
    finding="WronglyFrozen",
    size="one parameter",
    applies=lambda recipe: not is_adalora(recipe),  # it asks each of its factors for a gradient, and raises
)
def freeze_one_parameter(model: Any, moment: Moment) -> None:
    """One parameter that should train is frozen."""
    first_trained(model).requires_grad_(False)


@fault(
    Seam.AFTER_TUNING,
    caught_by="trained_components_in_model",
    finding="ComponentOutsideModel",
    size="one attribute",
    applies=tunes_tower_and_more,
)
def tower_outside_the_model(model: Any, moment: Moment) -> None:
    """The vision tower is kept where torch does not look for modules, as in a Python list."""
    hide_tower(model)


@fault(
    Seam.AFTER_TUNING,
    caught_by="trainable_parameters_moved",
    finding="TunedInVain",
    size="all of a component but what is beyond reach",
    applies=tunes_tower_that_ends_early,
)
def tune_what_no_gradient_reaches(model: Any, moment: Moment) -> None:
    """Of the vision tower the norm after its last layer alone trains, and features are taken from a layer below."""
    tower = next(module for path, module in model.named_modules() if path.rpartition(".")[2] in TOWERS)
    for path, parameter in tower.named_parameters():
        parameter.requires_grad_(LAST_NORM in path)


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="frozen_parameters_unchanged",
    finding="FrozenMoved",
    size="one bit of one element",
    applies=freezes_something,
)
def nudge_one_frozen_element(step: Any, moment: Moment) -> None:
    """The last bit of one element of one frozen parameter flips at one step."""
    step()
    if moment.at_second:
        flip_last_bit(first_frozen(moment.model))


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="frozen_buffers_unchanged",
    finding="BufferMoved",
    size="one element",
    applies=_has_frozen_buffer,
)
def move_one_buffer_element(step: Any, moment: Moment) -> None:
    """One element of one buffer of a frozen component changes by one."""
    step()
    if moment.at_second:
        _frozen_buffer(moment.model).reshape(-1)[-1] -= 1


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="trainable_parameters_moved",
    finding="NoGradient",
    size="one parameter",
    applies=tunes_something,
)
def drop_one_gradient(step: Any, moment: Moment) -> Any:
    """One trainable parameter has no gradient when the optimizer steps."""
    first_trained(moment.model).grad = None
    return step()


@fault(
    Seam.OPTIMIZER_GROUPS,
    caught_by="optimizer_holds_trainables_once",
    finding="NotInOptimizer",
    size="one parameter",
)
def leave_one_out(groups: Any, moment: Moment) -> None:
    """One trainable parameter is in no group of the optimizer."""
    del groups[0]["params"][-1]


@fault(
    Seam.OPTIMIZER_GROUPS,
    caught_by="optimizer_holds_trainables_once",
    finding="FrozenInOptimizer",
    size="one parameter",
    applies=freezes_something,
)
def add_a_frozen_one(groups: Any, moment: Moment) -> None:
    """One frozen parameter is in a group of the optimizer."""
    groups[0]["params"].append(first_frozen(moment.model))


@fault(
    Seam.OPTIMIZER_GROUPS,
    caught_by="trainable_parameters_moved",
    finding="DidNotMove",
    size="one parameter",
    applies=tunes_something,
)
def stop_one_parameter(groups: Any, moment: Moment) -> Any:
    """One trainable parameter is in a group of its own with a learning rate of zero."""
    stopped = groups[0]["params"].pop(0)
    return [*groups, {"params": [stopped], "lr": 0.0, "weight_decay": 0.0}]


@fault(
    Seam.OPTIMIZER_GROUPS,
    caught_by="updates_not_lost_to_rounding",
    finding="UpdateLostToRounding",
    size="one rate",
    applies=tunes_something,
)
def shrink_the_rate(groups: Any, moment: Moment) -> None:
    """The learning rate is ten million times smaller than asked: the steps round away."""
    for group in groups:
        group["lr"] *= 1e-7


@fault(Seam.AFTER_BUILD, caught_by="base_weights_arrived", finding="WeightsNotLoaded", size="one element")
def lose_one_loaded_element(model: Any, moment: Moment) -> None:
    """One element of the loaded model is not the base directory's."""
    flip_last_bit(next(iter(model.parameters())))


def flip_last_bit(parameter: Any) -> None:
    """The last bit of the first element is the other one."""
    import torch

    integers = {2: torch.int16, 4: torch.int32}[parameter.element_size()]
    with torch.no_grad():
        parameter.data.view(integers).reshape(-1)[0] ^= 1


def _frozen_buffer(model: Any) -> Any:
    for module in model.modules():
        frozen = all(not p.requires_grad for p in module.parameters())
        for buffer in module.buffers(recurse=False):
            if frozen and any(True for _ in module.parameters()) and buffer.numel():
                return buffer
    raise LookupError("no frozen module has a buffer")
