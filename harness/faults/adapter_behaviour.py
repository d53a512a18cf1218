"""Faults in what an adapter does before training, when it is off and once it is trained, and to kept modules."""

from __future__ import annotations

from typing import Any

from harness.faults.adapters import adapted_layers, is_lora, is_plain_lora
from harness.faults.parameters import flip_last_bit
from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _starts_at_zero(recipe: Recipe) -> bool:
    return is_lora(recipe) and recipe.peft is not None and recipe.peft.init is True


def _leaves_base_alone(recipe: Recipe) -> bool:
    trains_in_place = recipe.tune and recipe.save.beside_adapter
    bias = recipe.peft is not None and recipe.peft.bias != "none"
    return _starts_at_zero(recipe) and not bias and not recipe.add_tokens and not trains_in_place


def _keeps_modules(recipe: Recipe) -> bool:
    copies = recipe.tune and not recipe.save.beside_adapter
    return recipe.peft is not None and bool(copies or recipe.peft.modules_to_save)


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_starts_as_identity",
    finding="NoIdentityAtStart",
    size="one element",
    applies=_starts_at_zero,
)
def one_factor_element_not_zero(model: Any, moment: Moment) -> None:
    """One element of one LoRA B is not zero when training begins."""
    factor = next(parameter for path, parameter in model.named_parameters() if ".lora_B." in path)
    factor.data.reshape(-1)[0] = 0.01


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_disabled_is_base",
    finding="DisabledIsNotBase",
    size="one module",
    applies=_leaves_base_alone,
)
def one_adapter_stays_on(model: Any, moment: Moment) -> None:
    """Turning the adapter off does not reach one module."""
    _, module = adapted_layers(model)[0]
    module.enable_adapters = lambda enabled: None


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_changes_outputs",
    finding="AdapterWithoutEffect",
    size="one number of every adapter",
    applies=is_plain_lora,
)
def every_scaling_zero(model: Any, moment: Moment) -> None:
    """What the adapters add is multiplied by zero."""
    for _, module in adapted_layers(model):
        for name in module.scaling:
            module.scaling[name] = 0.0


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="kept_modules",
    finding="OriginalTouched",
    size="one bit of one element",
    applies=_keeps_modules,
)
def nudge_one_original_element(step: Any, moment: Moment) -> None:
    """The last bit of one element of the original of a kept module flips at one step."""
    step()
    if moment.at_second:
        flip_last_bit(next(p for path, p in moment.model.named_parameters() if ".original_module." in path))
