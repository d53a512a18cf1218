"""Faults in precision: when a gradient scaler is on, and what is computed in which dtype."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from harness.devices import type_of
from harness.faults.parameters import flip_last_bit
from harness.faults.registry import fault
from harness.faults.steps_taken import overflow
from harness.faults.where import first_trained
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _plain_fp32(recipe: Recipe) -> bool:
    return recipe.precision == "fp32" and not recipe.scaler_enabled


def _scales(recipe: Recipe) -> bool:
    return recipe.precision == "fp16" and recipe.scaler_enabled


def _autocasts_bf16(recipe: Recipe) -> bool:
    return recipe.precision == "bf16"


def _overflows(recipe: Recipe) -> bool:
    """Whether a step is skipped, on purpose."""
    return _scales(recipe) and overflow(recipe) is not None


def _overflowed(moment: Moment) -> bool:
    """Whether this step is one that will be skipped, or has been."""
    gradients = (p.grad for p in moment.model.parameters() if p.grad is not None)
    return any(not bool(gradient.isfinite().all()) for gradient in gradients)


def _overflows_at_first(recipe: Recipe) -> bool:
    return _scales(recipe) and overflow(recipe) == 0


def _overflows_later(recipe: Recipe) -> bool:
    return _overflows(recipe) and bool(recipe.loss_scaler.overflow_at)


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


@fault(
    Seam.UNSCALE,
    caught_by="gradients_unscaled_before_clip",
    finding="ClippedScaled",
    size="one step",
    applies=_scales,
)
def clip_before_unscale_once(unscale: Any, moment: Moment) -> None:
    """Gradients are clipped before they are unscaled, at one step."""
    import torch

    if moment.at_second:
        torch.nn.utils.clip_grad_norm_([p for p in moment.model.parameters() if p.requires_grad], 1.0)
    unscale()


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="skipped_steps_change_nothing",
    finding="SkippedStepMoved",
    size="one bit of one element",
    applies=_overflows,
)
def skipped_step_moves_one_element(step: Any, moment: Moment) -> None:
    """The last bit of one element of one trained parameter flips in the step that is skipped."""
    if _overflowed(moment):
        flip_last_bit(first_trained(moment.model))
    step()


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="skipped_steps_change_nothing",
    finding="SkippedStepCounted",
    size="the step count of one parameter",
    applies=_overflows,
)
def skipped_step_is_counted(step: Any, moment: Moment) -> None:
    """The optimizer counts the step that is skipped, for one parameter."""
    import torch

    if _overflowed(moment):
        held = first_trained(moment.model)
        state = moment.optimizer.state[held]
        moments = {name: state.get(name, torch.zeros_like(held)) for name in ("exp_avg", "exp_avg_sq")}
        state.update(step=state.get("step", torch.tensor(0.0)) + 1, **moments)
    step()


@fault(
    Seam.SCALER_UPDATE,
    caught_by="skipped_steps_change_nothing",
    finding="ScheduleAdvanced",
    size="one step of the schedule",
    applies=_overflows,
)
def skipped_step_advances_the_schedule(update: Any, moment: Moment) -> None:
    """The schedule goes on after the step that is skipped."""
    update()
    if _overflowed(moment):
        moment.schedule.step()


@fault(
    Seam.SCALER_UPDATE,
    caught_by="scale_backs_off_and_recovers",
    finding="ScaleNotLowered",
    size="one update",
    applies=_overflows,
)
def scale_stays_after_a_skipped_step(update: Any, moment: Moment) -> None:
    """The scale is the same after the step that is skipped."""
    if _overflowed(moment):
        update(new_scale=update.__self__.get_scale())
    else:
        update()


@fault(
    Seam.SCALER_OPTIONS,
    caught_by="run.mechanism_active",
    finding="MechanismIdle",
    size="one number",
    applies=_overflows_later,
)
def scale_grows_a_step_late(options: dict[str, Any], moment: Moment) -> None:
    """The scale grows a step later than it was asked to."""
    options["growth_interval"] += 1


@fault(
    Seam.UNSCALE,
    caught_by="scale_backs_off_and_recovers",
    finding="NoRecovery",
    size="one element of one gradient",
    applies=_overflows_at_first,
)
def one_gradient_element_overflows_again(unscale: Any, moment: Moment) -> None:
    """One element of one gradient is infinite at the step after the one that is skipped."""
    if moment.at_second:
        first_trained(moment.model).grad.reshape(-1)[0] = float("inf")
    unscale()


def _called(model: Any) -> Iterator[tuple[str, Any]]:
    """Modules by path, but for those that peft has put a copy in the place of: nobody calls them."""
    return (one for one in model.named_modules() if "original_module" not in one[0])


@fault(
    Seam.AFTER_TUNING,
    caught_by="layers_compute_as_asked",
    finding="ComputedInOtherDtype",
    size="one layer",
    applies=_autocasts_bf16,
)
def one_layer_in_fp32(model: Any, moment: Moment) -> None:
    """One linear layer computes in fp32 under bf16 autocast."""
    import torch

    layer: Any = next(module for _, module in _called(model) if isinstance(module, torch.nn.Linear))
    forward = layer.forward

    @functools.wraps(forward)
    def full(hidden: Any) -> Any:
        with torch.autocast(type_of(model), enabled=False):
            return forward(hidden.float())

    layer.forward = full


@fault(
    Seam.AFTER_TUNING,
    caught_by="layers_compute_as_asked",
    finding="NormRounded",
    size="one layer",
    applies=_autocasts_bf16,
)
def one_norm_in_bf16(model: Any, moment: Moment) -> None:
    """What one norm gives is rounded to bf16."""
    norms = ((path, module) for path, module in _called(model) if "Norm" in type(module).__name__)
    norm = next(module for path, module in norms if not path.endswith(("q_norm", "k_norm")))  # those are given 16 bits
    norm.register_forward_hook(lambda _module, _inputs, output: output.bfloat16())


@fault(
    Seam.AFTER_TUNING,
    caught_by="master_weights_in_fp32",
    finding="MasterWeightsLost",
    size="one parameter",
    applies=_autocasts_bf16,
)
def one_trained_parameter_in_bf16(model: Any, moment: Moment) -> None:
    """One matrix that trains is kept in bf16; norms refuse weights in another dtype than their input."""
    held = next(p for p in model.parameters() if p.requires_grad and p.dim() > 1)
    held.data = held.data.bfloat16()


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="master_weights_in_fp32",
    finding="OptimizerStateLost",
    size="one tensor of the state",
    applies=_autocasts_bf16,
)
def one_state_in_bf16(step: Any, moment: Moment) -> None:
    """Between its steps the optimizer keeps one moment of one parameter in bf16."""
    state = moment.optimizer.state[first_trained(moment.model)]
    if state:
        state["exp_avg"] = state["exp_avg"].float()
    step()
    state["exp_avg"] = state["exp_avg"].bfloat16()


@fault(Seam.AFTER_BUILD, caught_by="tf32_as_asked", finding="OtherTf32", size="one setting")
def tf32_switched(model: Any, moment: Moment) -> None:
    """Whether matrix products may be computed in TF32 is the other way round."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = not torch.backends.cuda.matmul.allow_tf32
