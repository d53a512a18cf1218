"""Faults in where adapters sit and what numbers they have."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.faults.where import by_expression, has_adapter, has_tower, is_adalora
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def adapted_layers(model: Any) -> list[tuple[str, Any]]:
    """The layers with an adapter around them, in the model's order."""
    return [(path, module) for path, module in model.named_modules() if hasattr(module, "base_layer")]


def _by_expression_past_the_tower(recipe: Recipe) -> bool:
    """Whether targets are an expression, and the tower takes an adapter: of what is kept as a copy peft adapts
    nothing."""
    return by_expression(recipe) and has_tower(recipe) and "vision" not in {part.component for part in recipe.tune}


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapters_where_intended",
    finding="AdapterMissing",
    size="one module",
    applies=has_adapter,
)
def one_adapter_taken_off(model: Any, moment: Moment) -> None:
    """One module lost its adapter and is the plain layer again."""
    path, module = adapted_layers(model)[0]
    owner, _, name = path.rpartition(".")
    setattr(model.get_submodule(owner), name, module.base_layer)


@fault(
    Seam.ADAPTER_OPTIONS,
    caught_by="adapters_where_intended",
    finding="AdapterUnasked",
    size="one module",
    applies=_by_expression_past_the_tower,
)
def one_adapter_elsewhere(options: dict[str, Any], moment: Moment) -> None:
    """The targets handed to peft name one module more, in the vision tower."""
    path = next(path for path, _ in moment.model.named_modules() if path.endswith(".fc1"))
    options["target_modules"] = f"(?:{options['target_modules']})|{path.replace('.', '[.]')}"


def is_lora(recipe: Recipe) -> bool:
    return recipe.peft is not None and recipe.peft.method == "lora"


def is_plain_lora(recipe: Recipe) -> bool:
    """Whether LoRA does nothing but add: DoRA divides by norms besides, and merges by what it notes of them."""
    return is_lora(recipe) and recipe.peft is not None and not recipe.peft.dora


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_numbers_as_asked",
    finding="AdapterNumbers",
    size="one scaling",
    applies=is_lora,
)
def one_scaling_doubled(model: Any, moment: Moment) -> None:
    """The scaling of one adapter is twice what was asked."""
    _, module = adapted_layers(model)[0]
    for name in module.scaling:
        module.scaling[name] *= 2


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_ranks_allocated",
    finding="RanksNotReduced",
    size="one call left out",
    applies=is_adalora,
)
def ranks_never_allocated(model: Any, moment: Moment) -> None:
    """Nothing tells AdaLoRA that a step was made."""
    model.base_model.update_and_allocate = lambda step: None
