"""Faults in how a step is made: order, shares of the loss, clipping, rates and decay."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.faults.steps_taken import (
    accumulates,
    comes_to_a_tail,
    comes_to_a_tail_of_one,
    groups,
    overflow,
    repeats_a_batch,
    second_takes_effect,
)
from harness.faults.where import tunes_something
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _clips(recipe: Recipe) -> bool:
    return recipe.optimizer.clip_norm is not None


def _clips_over_micro_batches(recipe: Recipe) -> bool:
    """Whether gradients of several micro-batches are clipped, in a step that is taken."""
    taken = [number for number in groups(recipe) if number > 1]
    return _clips(recipe) and len(taken) > (overflow(recipe) is not None)


def _has_a_schedule(recipe: Recipe) -> bool:
    """Whether the rate of each step is another one."""
    return recipe.optimizer.schedule != "constant" and not recipe.scaler_enabled


def _decays(recipe: Recipe) -> bool:
    return recipe.optimizer.weight_decay > 0 and tunes_something(recipe)


def _tunes_whole_connector(recipe: Recipe) -> bool:
    """Whether biases and norms of the connector train, too."""
    return tunes_something(recipe) and any(one.component == "connector" and not one.named for one in recipe.tune)


def _trained(model: Any) -> list[Any]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


@fault(
    Seam.BACKWARD,
    caught_by="events_in_order",
    finding="OutOfOrder",
    size="one clipping in a step",
    applies=_clips_over_micro_batches,
)
def clip_before_the_last_backward(backward: Any, moment: Moment) -> None:
    """Gradients are clipped once more at each step, before its last micro-batch went backward."""
    import torch

    if moment.ends_several:
        torch.nn.utils.clip_grad_norm_(_trained(moment.model), 1.0)
    backward()


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="events_in_order",
    finding="OutOfOrder",
    size="one step of the schedule",
    applies=second_takes_effect,
)
def schedule_stepped_before_the_optimizer(step: Any, moment: Moment) -> Any:
    """The schedule steps once more, before the optimizer does, at one step."""
    if moment.at_second:
        moment.schedule.step()
    return step()


@fault(
    Seam.LOSS,
    caught_by="accumulation_divides",
    finding="LossNotDivided",
    size="one micro-batch of a step",
    applies=accumulates,
)
def one_loss_not_divided(loss: Any, moment: Moment) -> Any:
    """The loss of one micro-batch of each step that has several counts twice its share."""
    return loss * 2 if moment.ends_several else loss


@fault(
    Seam.LOSS,
    caught_by="accumulation_divides",
    finding="LossNotDivided",
    size="one factor",
    applies=accumulates,
)
def no_loss_divided(loss: Any, moment: Moment) -> Any:
    """No loss is divided by the number of micro-batches: a systematic factor, and the losses look right."""
    return loss * moment.micro_batches


@fault(
    Seam.LOSS,
    caught_by="accumulation_divides",
    finding="LossNotDivided",
    size="one factor of the last group",
    applies=comes_to_a_tail_of_one,
)
def last_group_divided_like_the_others(loss: Any, moment: Moment) -> Any:
    """The single micro-batch at the end of the data counts a third, as if its step had three."""
    return loss / 3 if moment.micro_batches == 1 else loss


@fault(Seam.STEPS, caught_by="last_group_steps", finding="TailLost", size="the last group", applies=comes_to_a_tail)
def last_group_dropped(steps: Any, moment: Moment) -> Any:
    """The micro-batches at the end of the data are dropped, and the data begin anew."""
    longest = max(len(group) for group in steps)
    whole = [group for group in steps if len(group) == longest]
    return [whole[step % len(whole)] for step in range(len(steps))]


@fault(
    Seam.STEPS,
    caught_by="run.mechanism_active",
    finding="MechanismIdle",
    size="one micro-batch of the first step",
    applies=lambda recipe: accumulates(recipe) and recipe.epoch is None,
)
def first_group_one_short(steps: Any, moment: Moment) -> Any:
    """The first step is made one micro-batch early, as by a count that begins at one and not at nought."""
    return [*steps[: moment.first], steps[moment.first][:-1], *steps[moment.first + 1 :]]


@fault(
    Seam.CLIP,
    caught_by="clipping_effective",
    finding="NormAboveLimit",
    size="one step",
    applies=_clips,
)
def clipped_to_twice_the_norm(clip: Any, moment: Moment) -> None:
    """After clipping at one step, the gradients have twice the norm that they are limited to."""
    import torch

    clip()
    if moment.at_second:
        gradients = [parameter.grad for parameter in _trained(moment.model) if parameter.grad is not None]
        whole = torch.stack([gradient.float().norm() for gradient in gradients]).norm()
        for gradient in gradients:
            gradient.mul_(2.0 / whole)


@fault(Seam.CLIP, caught_by="clipping_effective", finding="NormAltered", size="one step", applies=_clips)
def clipped_to_half_the_norm(clip: Any, moment: Moment) -> None:
    """At one step gradients are halved after they were clipped."""
    clip()
    if moment.at_second:
        for parameter in _trained(moment.model):
            if parameter.grad is not None:
                parameter.grad.mul_(0.5)


@fault(
    Seam.SCHEDULER_STEP,
    caught_by="learning_rates_as_declared",
    finding="WrongRate",
    size="one step",
    applies=_has_a_schedule,
)
def schedule_one_step_early(step: Any, moment: Moment) -> None:
    """From the second step on the schedule is one step early."""
    step()
    if moment.step == 0:
        step()


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="learning_rates_as_declared",
    finding="WrongRate",
    size="one group at one step",
    applies=second_takes_effect,
)
def one_group_at_twice_its_rate(step: Any, moment: Moment) -> None:
    """One group of the optimizer steps once at twice its rate."""
    group = moment.optimizer.param_groups[-1]
    rate = group["lr"]
    if moment.at_second:
        group["lr"] = 2 * rate
    step()
    group["lr"] = rate


def _has_factors(recipe: Recipe) -> bool:
    """Whether some of what trains has a factor and some has none: biases have none that is for weights."""
    return bool(recipe.optimizer.rate_factors) and not recipe.peft and _tunes_whole_connector(recipe)


def _has_rates_that_change(recipe: Recipe) -> bool:
    """Whether what trains has several rates, each step has another, and the first comes before one that is judged."""
    own = recipe.optimizer.component_rates
    beside = any(one.component not in own and not one.if_present for one in recipe.tune)
    several = (bool(own) and beside) or _has_factors(recipe)
    return several and _has_a_schedule(recipe) and not recipe.interrupted_after


@fault(
    Seam.SCHEDULER_STEP,
    caught_by="learning_rates_in_proportion",
    finding="OutOfProportion",
    size="one group at one step",
    applies=_has_rates_that_change,
)
def one_group_forgotten_by_the_schedule(step: Any, moment: Moment) -> None:
    """The first step of the schedule leaves the last group at the rate that it had."""
    group = moment.optimizer.param_groups[-1]
    rate = group["lr"]
    step()
    if moment.step == 0:
        group["lr"] = rate


@fault(
    Seam.OPTIMIZER_GROUPS,
    caught_by="weight_decay_as_declared",
    finding="DecayOnBiasOrNorm",
    size="one vector",
    applies=_tunes_whole_connector,
)
def one_bias_decays(groups: Any, moment: Moment) -> Any:
    """One bias or normalisation weight is in a group of its own that decays."""
    names = {id(p): name for name, p in moment.model.named_parameters()}
    for group in groups:
        for place, parameter in enumerate(group["params"]):
            if names[id(parameter)].endswith("bias") or "norm" in names[id(parameter)]:
                del group["params"][place]
                return [*groups, {**group, "params": [parameter], "weight_decay": 0.1}]
    raise LookupError("neither a bias nor a norm trains")


@fault(
    Seam.OPTIMIZER_GROUPS,
    caught_by="weight_decay_as_declared",
    finding="WrongDecay",
    size="one matrix",
    applies=_decays,
)
def one_matrix_without_decay(groups: Any, moment: Moment) -> Any:
    """One matrix that should decay is in a group of its own that does not."""
    first = next(p for p in moment.model.parameters() if p.requires_grad and p.dim() > 1)
    group = next(group for group in groups if any(p is first for p in group["params"]))
    group["params"] = [p for p in group["params"] if p is not first]
    return [*groups, {**group, "params": [first], "weight_decay": 0.0}]


def _climbs_in_sight(recipe: Recipe) -> bool:
    """Whether the loss rises by more than what rounding blurs: by VeRA's vectors, in 16 bits, it does not."""
    weak = recipe.peft is not None and recipe.peft.method == "vera"
    return repeats_a_batch(recipe) and not (weak and recipe.precision != "fp32")


@fault(
    Seam.OPTIMIZER_GROUPS,
    caught_by="repeated_batch_is_learned",
    finding="LossDidNotFall",
    size="one sign",
    applies=_climbs_in_sight,
)
def steps_go_uphill(groups: Any, moment: Moment) -> None:
    """The optimizer climbs the loss instead of going down."""
    for group in groups:
        group["maximize"] = True


@fault(
    Seam.OPTIMIZER_GROUPS,
    caught_by="repeated_batch_is_learned",
    finding="LossDidNotFall",
    size="one rate",
    applies=repeats_a_batch,
)
def rate_of_zero(groups: Any, moment: Moment) -> None:
    """The learning rate is zero in every group."""
    for group in groups:
        group["lr"] = 0.0


@fault(
    Seam.OPTIMIZER_GROUPS,
    caught_by="learning_rates_as_declared",
    finding="WrongRate",
    size="one factor",
    applies=_has_factors,
)
def factor_of_a_name_forgotten(groups: Any, moment: Moment) -> None:
    """What should have several times the rate has the rate of all others."""
    for group in groups:
        group["lr"] = min(one["lr"] for one in groups)
