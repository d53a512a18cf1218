"""Faults between two stages: in what is merged, or exported, for the next to start from."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.recipe.starting import merged_from
from harness.seams import Moment, Seam


def _merges_an_adapter(recipe: Recipe) -> bool:
    """Whether an adapter was merged, in 32 bits before and after: what it adds in few steps is less than rounding in
    16."""
    earlier = merged_from(recipe)
    return earlier is not None and earlier.saves == "adapter" and _in_32_bits(recipe, earlier)


def _exports(recipe: Recipe) -> bool:
    """Whether a state dict was exported, in 32 bits before and after."""
    earlier = merged_from(recipe)
    return earlier is not None and earlier.saves == "native" and _in_32_bits(recipe, earlier)


def _in_32_bits(*stages: Recipe) -> bool:
    return not any(one.precision.startswith("pure-") for one in stages)


@fault(
    Seam.MERGED,
    caught_by="handed_over_equal",
    finding="HandedOverOtherwise",
    size="one scaling",
    applies=_merges_an_adapter,
)
def merged_with_another_scaling(model: Any, moment: Moment) -> None:
    """One module's adapter is merged at twice its scaling."""
    for module in [module for module in model.modules() if hasattr(module, "get_base_layer")][:1]:
        module.scaling = {name: 2 * value for name, value in module.scaling.items()}


@fault(
    Seam.MERGED,
    caught_by="handed_over_equal",
    finding="HandedOverOtherwise",
    size="one tensor's rounding",
    applies=_exports,
)
def one_tensor_exported_in_bf16(model: Any, moment: Moment) -> None:
    """One tensor is rounded to bfloat16 on its way into the exported model."""
    if hasattr(model, "merge_and_unload"):
        return
    held = next(p for path, p in model.named_parameters() if path.endswith(("q_proj.weight", "wq.weight")))
    held.data = held.data.bfloat16().float()
