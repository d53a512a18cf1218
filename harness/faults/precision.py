"""Faults in precision: when a gradient scaler is on, and what is computed in which dtype."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _plain_fp32(recipe: Recipe) -> bool:
    return recipe.precision == "fp32" and not recipe.scaler_enabled


def _scales(recipe: Recipe) -> bool:
    return recipe.precision == "fp16" and recipe.scaler_enabled


def _goes_by_rule(recipe: Recipe) -> bool:
    return recipe.loss_scaler.rule is not None


@fault(
    Seam.SCALER_OPTIONS,
    caught_by="scaler_on_exactly_for_fp16",
    finding="ScalerUnneeded",
    size="one setting",
    applies=_plain_fp32,
)
def scaler_on_under_fp32(options: dict[str, Any], moment: Moment) -> None:
    """The gradient scaler is on although nothing is computed in 16 bits."""
    options["enabled"] = True


@fault(
    Seam.SCALER_OPTIONS,
    caught_by="scaler_on_exactly_for_fp16",
    finding="ScalerMissing",
    size="one setting",
    applies=_scales,
)
def scaler_off_under_fp16(options: dict[str, Any], moment: Moment) -> None:
    """The gradient scaler is off under fp16 autocast over fp32 weights."""
    options["enabled"] = False


@fault(
    Seam.SCALER_OPTIONS,
    caught_by="scaler_rule_over_precisions",
    finding="ScalerByWrongRule",
    size="one condition",
    applies=_goes_by_rule,
)
def scaler_condition_compares_with_itself(options: dict[str, Any], moment: Moment) -> None:
    """The gradient scaler is on whatever the dtype: `dtype == dtype`."""
    options["enabled"] = True
