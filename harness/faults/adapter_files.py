"""Faults in what an adapter's file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.faults.registry import fault
from harness.faults.saved_files import rewrite
from harness.faults.where import saves_parameters, trains_own_adapter
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _saves_adapter(recipe: Recipe) -> bool:
    """Whether an adapter is saved as peft does; a family's own has a file of its own."""
    return recipe.saves == "adapter" and not trains_own_adapter(recipe)


@fault(
    Seam.AFTER_SAVE,
    caught_by="adapter_file_holds_adapter_only",
    finding="BaseTensorInAdapter",
    size="one tensor",
    applies=_saves_adapter,
)
def one_base_tensor_in_adapter(directory: Path, moment: Moment) -> None:
    """The adapter's file holds a weight of the base too."""
    path, weight = next((path, p) for path, p in moment.model.named_parameters() if path.endswith("norm.weight"))
    _rewrite_adapter(directory, lambda tensors: tensors.update({path: weight.detach().clone()}))


@fault(
    Seam.AFTER_SAVE,
    caught_by="adapter_file_holds_adapter_only",
    finding="AdapterTensorMissing",
    size="one tensor",
    applies=_saves_adapter,
)
def one_adapter_tensor_missing(directory: Path, moment: Moment) -> None:
    """One tensor of the adapter is not in its file."""
    _rewrite_adapter(directory, lambda tensors: tensors.pop(sorted(tensors)[0]))


@fault(
    Seam.AFTER_SAVE,
    caught_by="adapter_file_holds_adapter_only",
    finding="AdapterTensorDiffers",
    size="one element",
    applies=lambda recipe: _saves_adapter(recipe) and saves_parameters(recipe),
)
def one_adapter_element_differs(directory: Path, moment: Moment) -> None:
    """One element of the adapter is another number in its file."""

    def change(tensors: dict[str, Any]) -> None:
        tensors[sorted(tensors)[0]].reshape(-1)[0] += 1

    _rewrite_adapter(directory, change)


def _rewrite_adapter(directory: Path, change: Any) -> None:
    rewrite(directory / "adapter_model.safetensors", change)
