"""Layer 1, making side. Leaves behind what a recipe asks for, with the libraries' own save_pretrained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.recipe import Recipe
from harness.seams import Moment, Seam, Seams

if TYPE_CHECKING:
    from torch import nn

SHARDS = 3


def save(model: Any, processor: Any, recipe: Recipe, directory: Path, seams: Seams) -> None:
    """Write the model (or its adapter) and the processor into the directory."""
    moment = Moment(model=model)
    options = seams.alter(Seam.SAVE_OPTIONS, save_options(model, recipe), moment)
    model.save_pretrained(directory, **options)
    if recipe.save.processor:
        processor.save_pretrained(directory)
    seams.alter(Seam.AFTER_SAVE, directory, moment)


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
