"""Faults of attention: one layer that computes it otherwise, and one whose numbers only one implementation alters."""

from __future__ import annotations

import copy
import re
from typing import Any

from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam

_LAYER = re.compile(r"(?!.*(vision|vpm|tower)).*\blayers\.\d+\.self_attn$")


def _asks_for_attention(recipe: Recipe) -> bool:
    return recipe.attention is not None


def _agrees_with_eager_attention(recipe: Recipe) -> bool:
    return "eager-attention" in recipe.agrees_with


def _agrees_with_eager_attention_in_fp32(recipe: Recipe) -> bool:
    """Whether a hundredth is more than rounding, which it is in 32 bits."""
    return _agrees_with_eager_attention(recipe) and recipe.precision == "fp32"


@fault(
    Seam.AFTER_BUILD,
    caught_by="attention_as_asked",
    finding="OtherAttention",
    size="one layer",
    applies=_asks_for_attention,
)
def one_layer_computes_attention_otherwise(model: Any, moment: Moment) -> None:
    """One layer of the language model is told another implementation than the model."""
    layer = _first_layer(model)
    layer.config = copy.copy(layer.config)
    layer.config._attn_implementation = "sdpa" if layer.config._attn_implementation == "eager" else "eager"


@fault(
    Seam.AFTER_BUILD,
    caught_by="attention_changes_nothing",
    finding="AttentionMatters",
    size="one layer's scale, a hundredth",
    applies=_agrees_with_eager_attention_in_fp32,
)
def scale_of_one_layer_under_sdpa(model: Any, moment: Moment) -> None:
    """In one layer attention in one call is given a scale a hundredth too large."""
    layer = _first_layer(model)
    if layer.config._attn_implementation == "sdpa":
        layer.scaling *= 1.01


def _first_layer(model: Any) -> Any:
    return next(module for path, module in model.named_modules() if _LAYER.match(path))
