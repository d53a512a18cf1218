"""What a run comes to, step by step: where faults of steps apply."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.recipe import Recipe


def groups(recipe: Recipe) -> list[int]:
    """How many micro-batches each step has that is judged: of an interrupted run, those that go on from there."""
    epoch, most = recipe.epoch, recipe.optimizer.accumulation
    steps = range(recipe.interrupted_after or 0, recipe.steps)
    if epoch is None:
        return [most for _ in steps]
    return [min(most, epoch - step % -(-epoch // most) * most) for step in steps]


def accumulates(recipe: Recipe) -> bool:
    """Whether some step has several micro-batches: where the data have so many."""
    return max(groups(recipe)) > 1


def comes_to_a_tail(recipe: Recipe) -> bool:
    """Whether the data end with a group that is smaller than the others, and it is come to."""
    whole = recipe.epoch is not None and recipe.epoch > recipe.optimizer.accumulation
    return whole and min(groups(recipe)) < recipe.optimizer.accumulation


def comes_to_a_tail_of_one(recipe: Recipe) -> bool:
    """Whether the data end with a single micro-batch that is left of a group, and it is come to."""
    return comes_to_a_tail(recipe) and min(groups(recipe)) == 1


def repeats_a_batch(recipe: Recipe) -> bool:
    """Whether all steps see the same data, and at least two of them take effect."""
    taken = len(groups(recipe)) - (overflow(recipe) is not None)
    return recipe.epoch is not None and recipe.epoch <= recipe.optimizer.accumulation and taken > 1


def overflow(recipe: Recipe) -> int | None:
    """The step that is skipped on purpose, if one is that is judged."""
    meant = recipe.scaler_enabled and recipe.loss_scaler.init_scale is None
    at = recipe.loss_scaler.overflow_at or 0
    return at if meant and at >= (recipe.interrupted_after or 0) else None


def second_takes_effect(recipe: Recipe) -> bool:
    """Whether the step at which the most faults come, the second or the first of those that go on, is not skipped."""
    return overflow(recipe) != max(1, recipe.interrupted_after or 0)
