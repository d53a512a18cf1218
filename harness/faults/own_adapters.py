"""Faults of adapters that a trainer's own code puts on a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.faults.registry import fault
from harness.faults.where import trains_own_adapter
from harness.seams import Moment, Seam


def _adapted(model: Any) -> list[Any]:
    return [module for module in model.modules() if module._modules.get("lora") is not None]


def _take_off(layer: Any) -> None:
    del layer.lora
    del layer.forward


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapters_where_intended",
    finding="AdapterMissing",
    size="one layer",
    applies=trains_own_adapter,
)
def one_square_layer_passed_over(model: Any, moment: Moment) -> None:
    """One square layer is given no factors."""
    _take_off(_adapted(model)[0])


@fault(
    Seam.AFTER_TUNING,
    caught_by="adapters_where_intended",
    finding="AdapterMissing",
    size="every layer but one that should have none",
    applies=trains_own_adapter,
)
def squares_where_none_are_meant(model: Any, moment: Moment) -> None:
    """Heads of another width make other layers square: keys have factors, and queries and outputs none."""
    from harness.families.minimind.code_files.model_lora import LoRA, put_beside

    for layer in _adapted(model):
        _take_off(layer)
    keys = next(module for path, module in model.named_modules() if path.endswith(("k_proj", "wk")))
    put_beside(keys, LoRA(keys.in_features, keys.out_features, 4))


@fault(
    Seam.AFTER_SAVE,
    caught_by="adapter_file_holds_adapter_only",
    finding="AdapterTensorMissing",
    size="one factor",
    applies=trains_own_adapter,
)
def one_factor_not_saved(directory: Path, moment: Moment) -> None:
    """One factor is not in the adapter's file."""
    _rewrite(directory, lambda tensors: tensors.pop(sorted(tensors)[0]))


@fault(
    Seam.AFTER_SAVE,
    caught_by="saved_directory_loads",
    finding="DirectoryDoesNotLoad",
    size="the rank",
    applies=trains_own_adapter,
)
def adapter_of_an_older_default_rank(directory: Path, moment: Moment) -> None:
    """All factors but the first two have half the rank, as when the default was another: torch raises for them."""

    def halve(tensors: dict[str, Any]) -> None:
        for name in sorted(tensors)[2:]:
            tensor = tensors[name]
            rank = min(tensor.shape) // 2
            tensors[name] = (tensor[:rank] if ".A." in name else tensor[:, :rank]).clone()

    _rewrite(directory, halve)


def _rewrite(directory: Path, change: Any) -> None:
    import torch

    (file,) = directory.glob("*.pth")
    tensors = torch.load(file, weights_only=True)
    change(tensors)
    torch.save(tensors, file)
