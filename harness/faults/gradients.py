"""Faults in losses, gradients and their zeroing."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.faults.steps_taken import accumulates
from harness.faults.where import first_trained
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _unscaled(recipe: Recipe) -> bool:
    return not recipe.scaler_enabled


@fault(Seam.LOSS, caught_by="losses_finite", finding="LossNotFinite", size="one loss", applies=_unscaled)
def one_loss_nan(loss: Any, moment: Moment) -> Any:
    """The loss of one step is NaN."""
    return loss * float("nan") if moment.at_second else loss


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="gradients_finite",
    finding="GradientNotFinite",
    size="one element of one gradient",
    applies=_unscaled,
)
def one_gradient_element_infinite(step: Any, moment: Moment) -> Any:
    """One element of one gradient is infinite at one step, after clipping."""
    gradient = first_trained(moment.model).grad
    if moment.at_second and gradient is not None:
        gradient.reshape(-1)[0] = float("inf")
    return step()


@fault(Seam.ZERO_GRAD, caught_by="gradients_zeroed_once_per_step", finding="StaleGradients", size="one zeroing")
def zero_grad_left_out_once(zero_grad: Any, moment: Moment) -> None:
    """Gradients are not zeroed after the first step."""
    if moment.step != moment.first:
        zero_grad()


@fault(
    Seam.BACKWARD,
    caught_by="gradients_zeroed_once_per_step",
    finding="GradientsLost",
    size="one zeroing too many in a step",
    applies=accumulates,
)
def zero_grad_between_micro_batches(backward: Any, moment: Moment) -> None:
    """Gradients are zeroed once more before the last micro-batch of each step that has several."""
    if moment.ends_several:
        moment.optimizer.zero_grad()
    backward()
