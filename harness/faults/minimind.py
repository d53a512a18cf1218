"""What MiniMind and MiniMind-V have had wrong in their training scripts, as their history and their threads tell."""

from __future__ import annotations

import functools
import math
from typing import Any

from harness.devices import type_of
from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam


def _is_minimind(recipe: Recipe) -> bool:
    return recipe.family.startswith("minimind")


def _asks_for_bf16(recipe: Recipe) -> bool:
    return _is_minimind(recipe) and recipe.precision == "bf16" and not recipe.loss_scaler.rule


def _goes_by_rule(recipe: Recipe) -> bool:
    return _is_minimind(recipe) and recipe.loss_scaler.rule == "fp16"


def _falls_to_a_tenth(recipe: Recipe) -> bool:
    return recipe.optimizer.schedule == "cosine" and recipe.optimizer.floor == 0.1


def _sees(recipe: Recipe) -> bool:
    return recipe.family.startswith("minimind-3v")


def _freezes_language(recipe: Recipe) -> bool:
    return _sees(recipe) and {tune.component for tune in recipe.tune} == {"connector"}


def _divides_by_number(recipe: Recipe) -> bool:
    """Whether each loss counts by how many micro-batches there should be: by its tokens it counts among those there
    are."""
    by_number = recipe.optimizer.loss_average == "micro-batch" and recipe.optimizer.accumulation > 1
    return _is_minimind(recipe) and by_number and not recipe.data.samples


def _in_fp16(model: Any) -> None:
    import torch

    forward = model.forward

    @functools.wraps(forward)
    def always_fp16(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(type_of(model), dtype=torch.float16):
            return forward(*args, **kwargs)

    model.forward = always_fp16


@fault(
    Seam.AFTER_TUNING,
    caught_by="layers_compute_as_asked",
    finding="ComputedInOtherDtype",
    size="one argument",
    applies=_asks_for_bf16,
)
def autocast_without_a_dtype(model: Any, moment: Moment) -> None:
    """Autocast is called without the dtype that was asked for, and computes in fp16 whatever it was."""
    _in_fp16(model)


@fault(
    Seam.AFTER_TUNING,
    caught_by="scaler_on_exactly_for_fp16",
    finding="ScalerMissing",
    size="one condition",
    applies=_asks_for_bf16,
)
def scaler_by_a_flag_that_autocast_ignores(model: Any, moment: Moment) -> None:
    """The scaler is on for --dtype float16 alone, and autocast computes in fp16 under the default, bfloat16, too."""
    _in_fp16(model)


@fault(
    Seam.SCALER_OPTIONS,
    caught_by="scaler_rule_over_precisions",
    finding="ScalerByWrongRule",
    size="one condition",
    applies=_goes_by_rule,
)
def scaler_for_both_half_dtypes(options: dict[str, Any], moment: Moment) -> None:
    """The scaler is on for `dtype in (float16, bfloat16)`, where it is meant to be on for float16 alone."""
    options["enabled"] = moment.precision in ("fp16", "bf16")


@fault(
    Seam.OPTIMIZER_STEP,
    caught_by="learning_rates_as_declared",
    finding="WrongRate",
    size="a tenth of the rate",
    applies=_falls_to_a_tenth,
)
def rate_begins_a_tenth_too_high(step: Any, moment: Moment) -> None:
    """The rate is a tenth of the full one, and half a cosine of the full one besides: it begins at 1.1 times that."""
    before = [group["lr"] for group in moment.optimizer.param_groups]
    for group, rate in zip(moment.optimizer.param_groups, before, strict=True):
        share = rate / group["initial_lr"]  # 0.1 + 0.45 (1 + cos), of which the cosine is had back
        group["lr"] = group["initial_lr"] * (0.1 + 0.5 * (share - 0.1) / 0.45)
    step()
    for group, rate in zip(moment.optimizer.param_groups, before, strict=True):
        group["lr"] = rate


@fault(
    Seam.STEPS,
    caught_by="accumulation_divides",
    finding="LossNotDivided",
    size="one micro-batch",
    applies=_divides_by_number,
)
def steps_counted_from_one(steps: Any, moment: Moment) -> Any:
    """The step is counted from one and compared as if from zero: the first group is one micro-batch short."""
    flat = [batch for group in steps for batch in group]
    size = len(steps[0])
    first = size - 1
    groups = [flat[:first], *(flat[at : at + size] for at in range(first, len(flat), size))]
    return groups[: math.ceil(len(flat) / size)]


@fault(
    Seam.AFTER_BUILD,
    caught_by="pixels_matter",
    finding="PixelsIgnored",
    size="one module",
    applies=_freezes_language,
)
def encoder_that_is_not_there(model: Any, moment: Moment) -> None:
    """The encoder's directory was not found: there is none, nothing is said, and pictures are passed over."""
    model.vision_encoder = None


@fault(
    Seam.AFTER_BUILD,
    caught_by="batch_composition_harmless",
    finding="CompanyMatters",
    size="one dimension",
    applies=_sees,
)
def batch_of_one_squeezed(model: Any, moment: Moment) -> None:
    """Where there is one picture alone its dimension is squeezed away, and one feature stands for the whole of it."""

    def squeezed(_module: Any, _arguments: Any, output: Any) -> Any:
        return output[:, :1].expand_as(output) if len(output) == 1 else output

    model.vision_proj.register_forward_hook(squeezed)


@fault(
    Seam.BATCH,
    caught_by="samples_whole",
    finding="PictureCut",
    size="one image token",
    applies=_sees,
)
def cut_within_a_run_of_image_tokens(batch: dict[str, Any], moment: Moment) -> Any:
    """One micro-batch is cut one token before the end of its last run of image tokens: max_seq_len counts them too."""
    if moment.step or moment.micro:
        return batch
    places = (batch["input_ids"] == moment.model.config.image_token_id).nonzero()
    end = int(places[:, 1].max())
    cut = ("input_ids", "attention_mask", "labels")
    return {name: value[:, :end] if name in cut else value for name, value in batch.items()}


@fault(
    Seam.AFTER_TUNING,
    caught_by="run.completed",
    finding="RunEnded",
    size="one declaration",
    applies=lambda recipe: _is_minimind(recipe) and recipe.saves == "full",
)
def shared_tensors_not_declared(model: Any, moment: Moment) -> None:
    """The class does not say that head and embeddings are one tensor: save_pretrained refuses to write it twice."""
    model.all_tied_weights_keys = {}
    type(model)._tied_weights_keys = None
