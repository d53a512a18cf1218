"""Faults that keep a mechanism from taking effect."""

from __future__ import annotations

import functools
from typing import Any

from harness.devices import type_of
from harness.faults.registry import fault
from harness.faults.where import saves_whole_by_itself
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _autocasts(recipe: Recipe) -> bool:
    return recipe.precision in ("bf16", "fp16")


def _checkpoints(recipe: Recipe) -> bool:
    return bool(recipe.checkpointing)


def _clips(recipe: Recipe) -> bool:
    return recipe.optimizer.clip_norm is not None


@fault(
    Seam.AFTER_TUNING,
    caught_by="run.mechanism_active",
    finding="MechanismIdle",
    size="one setting",
    applies=_autocasts,
)
def autocast_switched_off(model: Any, moment: Moment) -> None:
    """The model's forward runs outside autocast."""
    import torch

    forward = model.forward

    @functools.wraps(forward)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(type_of(model), enabled=False):
            return forward(*args, **kwargs)

    model.forward = plain


@fault(
    Seam.AFTER_TUNING,
    caught_by="run.mechanism_active",
    finding="MechanismIdle",
    size="one setting",
    applies=_checkpoints,
)
def checkpointing_switched_off(model: Any, moment: Moment) -> None:
    """Checkpointing is turned off again after it was turned on."""
    model.gradient_checkpointing_disable()


@fault(Seam.CLIP, caught_by="run.mechanism_active", finding="MechanismIdle", size="one step", applies=_clips)
def clipping_left_out_once(clip: Any, moment: Moment) -> None:
    """Gradients are not clipped before one step."""
    if not moment.at_second:
        clip()


@fault(
    Seam.SAVE_OPTIONS,
    caught_by="run.mechanism_active",
    finding="MechanismIdle",
    size="one setting",
    applies=saves_whole_by_itself,
)
def one_large_shard(options: dict[str, Any], moment: Moment) -> None:
    """The weights are saved in one file although several were asked for."""
    options["max_shard_size"] = "1GB"
