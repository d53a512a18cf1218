"""What a recipe's precision means for its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.recipe import Recipe

if TYPE_CHECKING:
    import torch


def weights_dtype(recipe: Recipe) -> torch.dtype:
    """The dtype that a recipe's weights have in memory."""
    import torch

    from harness.families.promises import WEIGHTS

    dtype: torch.dtype = getattr(torch, WEIGHTS[recipe.precision])
    return dtype
