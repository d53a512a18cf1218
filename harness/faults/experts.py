"""Faults of models with experts: what keeps them evenly loaded, and which of them are met."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _adds_auxiliary_loss(recipe: Recipe) -> bool:
    return recipe.family.endswith("-moe") and not recipe.family.startswith("minimind-v1")


def _has_experts(recipe: Recipe) -> bool:
    return recipe.family.endswith("-moe") and not recipe.peft


@fault(
    Seam.LOSS,
    caught_by="auxiliary_loss_added",
    finding="AuxiliaryLossLeftOut",
    size="one term of the loss",
    applies=_adds_auxiliary_loss,
)
def auxiliary_loss_left_out(loss: Any, moment: Moment) -> Any:
    """What the experts' gates find uneven is computed and not added to the loss."""
    uneven = [module.aux_loss for module in moment.model.modules() if hasattr(module, "aux_loss")]
    return loss - sum(uneven) / moment.micro_batches


@fault(
    Seam.AFTER_TUNING,
    caught_by="trainable_parameters_moved",
    finding="NoGradient",
    size="the experts of one layer",
    applies=_has_experts,
)
def every_token_to_one_expert(model: Any, moment: Moment) -> None:
    """In one layer every token goes to the first expert, and the others idle."""
    import torch

    gate = next(module for path, module in model.named_modules() if path.endswith(".gate"))
    rows = gate.weight.shape[0]

    def favour(module: Any, _arguments: Any, output: Any) -> Any:
        if isinstance(output, torch.Tensor):
            return output + 1e4 * torch.nn.functional.one_hot(torch.tensor(0), rows).to(output)
        chosen, shares, uneven = output
        return torch.arange(chosen.shape[-1]).expand_as(chosen), shares, uneven

    gate.register_forward_hook(favour)
