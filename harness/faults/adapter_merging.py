"""Faults in how one module's adapter is merged into the weights under it."""

from __future__ import annotations

from typing import Any

from harness.faults.adapters import adapted_layers, is_lora, is_plain_lora
from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _scales_in_fp32(recipe: Recipe) -> bool:
    """Whether a scaling other than one is merged into weights precise enough to show it."""
    adapter = recipe.lora
    return adapter is not None and adapter.alpha != adapter.rank and not recipe.precision.startswith("pure")


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_merges",
    finding="MergeDiffers",
    size="one module",
    applies=_scales_in_fp32,
)
def one_scaling_left_out_of_merging(model: Any, moment: Moment) -> None:
    """One module merges the product of its factors without the scaling."""
    _, module = adapted_layers(model)[0]
    delta = module.get_delta_weight
    module.get_delta_weight = lambda adapter: delta(adapter) / module.scaling[adapter]


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_merges",
    finding="MergeWithoutEffect",
    size="one module",
    applies=is_plain_lora,
)
def one_module_not_merged(model: Any, moment: Moment) -> None:
    """One module notes that it is merged, and merges nothing."""
    _, module = adapted_layers(model)[0]
    module.merge = lambda *_, **__: module.merged_adapters.append(module.active_adapters[0])


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_merges",
    finding="DoubleMerge",
    size="one module",
    applies=is_lora,
)
def one_module_merged_twice(model: Any, moment: Moment) -> None:
    """One module does not know that it is merged already."""
    _, module = adapted_layers(model)[0]
    merge = module.merge

    def forgetful(*args: Any, **kwargs: Any) -> None:
        module.merged_adapters.clear()
        merge(*args, **kwargs)

    module.merge = forgetful


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapter_merges",
    finding="UnmergeDiffers",
    size="one module",
    applies=is_lora,
)
def one_module_not_unmerged(model: Any, moment: Moment) -> None:
    """One module notes that it is unmerged, and stays as it is."""
    _, module = adapted_layers(model)[0]
    module.unmerge = module.merged_adapters.clear
