"""Layer 1, making side. Leaves behind what a recipe asks for, with the libraries' own save_pretrained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoint.files import NATIVE, TRAINED
from harness.checkpoint.repair import repair
from harness.recipe import Recipe
from harness.seams import Moment, Seam, Seams

if TYPE_CHECKING:
    from torch import nn

    from harness.families.family import Loaded

SHARDS = 3


def save(loaded: Loaded, model: Any, recipe: Recipe, directory: Path, seams: Seams) -> None:
    """Write the trained model (or its adapter, or part of it), and what else the recipe names, into the directory."""
    moment = Moment(model=model, base=loaded.directory)
    directory.mkdir(parents=True, exist_ok=True)
    if recipe.saves == "partial":
        _save_trained(model, directory)
    elif recipe.saves == "native":
        _save_native(model, directory)
    else:
        model.save_pretrained(directory, **seams.alter(Seam.SAVE_OPTIONS, save_options(model, recipe), moment))
    if recipe.save.processor:
        loaded.processor.save_pretrained(directory)
    if recipe.save.tokenizer:
        loaded.processor.tokenizer.save_pretrained(directory)
    if recipe.save.files_from_base:
        repair(directory, loaded.directory)
    seams.alter(Seam.AFTER_SAVE, directory, moment)


def _save_trained(model: nn.Module, directory: Path) -> None:
    """What was trained, under the names by which `load_state_dict(strict=False)` takes it."""
    from harness.trace.writer import write_safetensors

    trained = {path: parameter for path, parameter in model.named_parameters() if parameter.requires_grad}
    write_safetensors(directory / TRAINED, trained, metadata={"format": "pt"})


def _save_native(model: nn.Module, directory: Path) -> None:
    """A state dict as native training loops write it."""
    import torch

    torch.save(model.state_dict(), directory / NATIVE)


def save_options(model: nn.Module, recipe: Recipe) -> dict[str, Any]:
    """Arguments of save_pretrained. `auto` makes shards so small that even a tiny model needs at least three."""
    if recipe.saves == "adapter":
        return {}
    if recipe.save.max_shard_size != "auto":
        return {"max_shard_size": _in_bytes(recipe.save.max_shard_size)}
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return {"max_shard_size": max(size // (SHARDS + 1), 1)}


def _in_bytes(size: str) -> int:
    """A size such as 1.5GB or 200MiB as a number: transformers 5 no longer knows the binary units."""
    unit = size.lstrip("0123456789.")
    base = 1024 if "i" in unit else 1000
    return max(int(float(size.removesuffix(unit)) * base ** " KMG".index(unit[0])), 1)
