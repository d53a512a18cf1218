"""Faults that change no number of a training, only how much memory it takes."""

from __future__ import annotations

from typing import Any

from harness.faults.determinism import _first_module
from harness.faults.registry import fault
from harness.faults.where import (
    first_frozen,
    first_trained,
    freezes_something,
    has_tower,
    saves_whole_by_itself,
    sees_images,
)
from harness.recipe import Recipe
from harness.seams import Moment, Seam

_CHECK = "memory_within_budget"


def _watched(recipe: Recipe) -> bool:
    return recipe.budget is not None and recipe.budget.memory is not None


def _watched_and_frozen(recipe: Recipe) -> bool:
    return _watched(recipe) and freezes_something(recipe)


def _watched_and_saved_whole(recipe: Recipe) -> bool:
    return _watched(recipe) and saves_whole_by_itself(recipe)


def _watched_tower(recipe: Recipe) -> bool:
    """Whether a tower is frozen and no layer is computed again: else libraries make its input want a gradient. MiniMind
    runs its tower under no_grad, where nothing can want one."""
    seen = _watched_and_frozen(recipe) and sees_images(recipe) and has_tower(recipe) and not recipe.checkpointing
    return seen and not recipe.family.startswith("minimind")


def _watched_and_checkpointed(recipe: Recipe) -> bool:
    return _watched(recipe) and bool(recipe.checkpointing)


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by=_CHECK,
    finding="StateOfFrozen",
    size="two moments of one parameter",
    applies=_watched_and_frozen,
)
def states_of_one_frozen_parameter(step: Any, moment: Moment) -> Any:
    """The optimizer keeps moments of one frozen parameter, as if it had been frozen late."""
    import torch

    frozen = first_frozen(moment.model)
    moment.optimizer.state[frozen] = {name: torch.zeros_like(frozen) for name in ("exp_avg", "exp_avg_sq")}
    return step()


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by=_CHECK,
    finding="GradientOfFrozen",
    size="the gradient of one parameter",
    applies=_watched_and_frozen,
)
def gradient_of_one_frozen_parameter_kept(step: Any, moment: Moment) -> Any:
    """One frozen parameter has a gradient that nobody zeroes, as one that is frozen after a backward pass has."""
    import torch

    frozen = first_frozen(moment.model)
    if frozen.grad is None:
        frozen.grad = torch.zeros_like(frozen)
    return step()


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by=_CHECK,
    finding="PeakTooHigh",
    size="one copy of the gradients",
    applies=_watched,
)
def gradients_copied_for_a_log(step: Any, moment: Moment) -> Any:
    """All gradients are copied before each step, and the copies held until the next."""
    moment.held = [p.grad.clone() for p in moment.model.parameters() if p.grad is not None]  # type: ignore[attr-defined]
    return step()


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by=_CHECK,
    finding="MemoryGrows",
    size="one gradient at each step",
    applies=_watched,
)
def one_gradient_of_each_step_kept(step: Any, moment: Moment) -> Any:
    """The gradient of one parameter is appended to a list at each step."""
    kept = moment.__dict__.setdefault("kept", [])
    kept.append(first_trained(moment.model).grad.clone())
    return step()


@fault(
    Seam.AFTER_TUNING,
    caught_by=_CHECK,
    finding="FrozenTowerKeeps",
    size="one input that wants a gradient",
    applies=_watched_tower,
)
def input_of_a_frozen_tower_wants_a_gradient(model: Any, moment: Moment) -> None:
    """The frozen tower's first layer gives an output that requires a gradient, so that all layers keep theirs."""
    _first_module(model).register_forward_hook(
        lambda module, _, output: output.requires_grad_() if module.training and output.is_leaf else output
    )


@fault(
    Seam.AFTER_TUNING,
    caught_by=_CHECK,
    finding="CheckpointingKeeps",
    size="all layers of the language model but one",
    applies=_watched_and_checkpointed,
)
def checkpointing_of_one_layer(model: Any, moment: Moment) -> None:
    """Checkpointing is on for one layer of the language model alone."""
    from torch import nn

    lists = [module for path, module in model.named_modules() if isinstance(module, nn.ModuleList) and "layers" in path]
    language = lists[-1]
    for module in (one for layer in list(language)[1:] for one in layer.modules()):
        if hasattr(module, "gradient_checkpointing"):
            setattr(module, "gradient_checkpointing", False)  # noqa: B010 - torch declares what modules hold


@fault(
    Seam.LOADED,
    caught_by=_CHECK,
    finding="PhaseKeeps",
    size="one copy of the weights",
    applies=_watched,
)
def base_loaded_twice(model: Any, moment: Moment) -> None:
    """The base is loaded a second time, and both models are held: as one to compare with, or to take a tower from."""
    model.__dict__["held"] = [type(model).from_pretrained(moment.base)]


@fault(
    Seam.AFTER_TUNING,
    caught_by=_CHECK,
    finding="PhaseKeeps",
    size="one copy of what is frozen",
    applies=_watched_and_frozen,
)
def frozen_weights_copied_as_the_model_is_tuned(model: Any, moment: Moment) -> None:
    """What is frozen is copied, and the copies held."""
    model.__dict__["held"] = [one.detach().clone() for one in model.parameters() if not one.requires_grad]


@fault(
    Seam.SAVE_OPTIONS,
    caught_by=_CHECK,
    finding="PhasePeakTooHigh",
    size="one copy of the weights",
    applies=_watched_and_saved_whole,
)
def state_dict_cloned_to_be_saved(options: Any, moment: Moment) -> None:
    """All of the state dict is cast to fp32 before it is saved, in copies, whatever it is in."""
    import torch

    state = moment.model.state_dict()
    options["state_dict"] = {name: value.to(torch.float32, copy=True) for name, value in state.items()}


@fault(
    Seam.SAVE_OPTIONS,
    caught_by=_CHECK,
    finding="PhasePeakTooHigh",
    size="256 MiB",
    applies=_watched_and_saved_whole,
)
def saved_through_a_buffer_of_bytes(options: Any, moment: Moment) -> None:
    """A buffer of Python's own is filled before anything is written: no tensor, and the system alone sees it."""
    len(b"\1" * (256 << 20))
