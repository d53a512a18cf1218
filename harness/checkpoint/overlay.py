"""Laying the tensors of one file over a model that has been loaded, as trainers and their loaders do. Needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoint.native import native_tensors

if TYPE_CHECKING:
    import torch
    from torch import nn

_WRAPPED = "base_model.model."
"""What peft puts before the names of the model that it has wrapped, and trainers save with them."""


def part_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a part under the model's own names. Raises Refused for a file that holds no state dict."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        tensors = load_file(path)
    else:
        tensors = native_tensors(path)
    return {key.removeprefix(_WRAPPED): tensor for key, tensor in tensors.items()}


def lay_over(model: nn.Module, tensors: dict[str, torch.Tensor], file: str) -> dict[str, Any]:
    """Load tensors where the model has their names, and leave the rest of both alone; say how many met it.

    torch raises for a tensor of another shape even so.
    """
    unexpected = sorted(model.load_state_dict(tensors, strict=False).unexpected_keys)
    return {"file": file, "keys": len(tensors), "matched": len(tensors) - len(unexpected), "unexpected": unexpected}
