"""Faults that a single run does not show: its losses are right, and another way of making it leads elsewhere."""

from __future__ import annotations

import itertools
import re
from typing import Any

from harness.devices import type_of
from harness.faults.registry import fault
from harness.faults.where import TOWERS
from harness.recipe import Recipe
from harness.seams import Moment, Seam

_LAYER = re.compile(r".*\blayers\.\d+$")


def _agrees_with_one_batch(recipe: Recipe) -> bool:
    return "one-batch" in recipe.agrees_with


def _agrees_with_no_checkpointing(recipe: Recipe) -> bool:
    """Whether a hundredth is more than runs may differ by, which it is in 32 bits."""
    return "no-checkpointing" in recipe.agrees_with and recipe.precision == "fp32"


@fault(
    Seam.BACKWARD,
    caught_by="accumulation_equals_one_batch",
    finding="AccumulationMatters",
    size="one factor at one step",
    applies=_agrees_with_one_batch,
)
def gradients_of_one_step_multiplied(backward: Any, moment: Moment) -> None:
    """At one step the gradients are as many times too large as there are micro-batches; every loss is right."""
    backward()
    if moment.at_second and moment.micro == moment.micro_batches - 1:
        for parameter in moment.model.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(moment.micro_batches)


def _agrees_with_eager(recipe: Recipe) -> bool:
    return "eager" in recipe.agrees_with


@fault(
    Seam.STEPS,
    caught_by="lazy_equals_eager",
    finding="LazinessMatters",
    size="one token of one sample",
    applies=_agrees_with_eager,
)
def one_token_encoded_otherwise_under_way(steps: Any, moment: Moment) -> Any:
    """In one micro-batch that is encoded under way, one token is another than before the run began."""
    return steps if isinstance(steps, list) else _Otherwise(steps)


class _Otherwise:
    """Steps that are made late, of which the second differs in the last token of its first row."""

    def __init__(self, steps: Any) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, step: int) -> Any:
        made = self.steps[step]
        if step == 1:
            made[0]["input_ids"][0, int(made[0]["attention_mask"][0].sum()) - 1] -= 1
        return made


@fault(
    Seam.BATCH,
    caught_by="checkpointing_changes_nothing",
    finding="CheckpointingMatters",
    size="one layer, a hundredth",
    applies=_agrees_with_no_checkpointing,
)
def one_layer_recomputed_otherwise(batch: Any, moment: Moment) -> None:
    """One layer is given a hundredth more when it is computed for the second time, in the backward pass."""
    layer = _first_layer_that_trains(moment.model).mlp
    if not hasattr(layer, "times_computed"):

        def more_the_second_time(module: Any, inputs: Any) -> Any:
            module.times_computed += 1
            return (inputs[0] * 1.01, *inputs[1:]) if module.times_computed == 2 else None

        layer.register_forward_pre_hook(more_the_second_time)
    layer.times_computed = 0


def _nothing_trains_before_the_layers(recipe: Recipe) -> bool:
    """Whether the head trains beside an adapter of recomputed language layers, and nothing that comes before these:
    embeddings or features of pictures that train want a gradient by themselves."""
    adapter = recipe.peft
    if recipe.checkpointing != "reentrant" or adapter is None or adapter.modules_to_save:
        return False
    return adapter.components == ("language",) and {one.component for one in recipe.tune} == {"lm_head"}


@fault(
    Seam.AFTER_TUNING,
    caught_by="recomputed_layers_reached",
    finding="CutOff",
    size="one hook",
    applies=_nothing_trains_before_the_layers,
)
def embeddings_want_no_gradient(model: Any, moment: Moment) -> None:
    """Under reentrant checkpointing the output of frozen embeddings wants no gradient, so that no layer gets one."""
    model.disable_input_require_grads()


@fault(
    Seam.BATCH,
    caught_by="precision_changes_little",
    finding="PrecisionMatters",
    size="one layer",
    applies=lambda recipe: "fp32" in recipe.agrees_with,
)
def one_layer_given_four_bits(batch: Any, moment: Moment) -> None:
    """Under autocast one layer is given its input as four bits could hold it: a sign, and a power of two."""
    import torch

    def rounded(_module: Any, inputs: Any) -> Any:
        if not torch.is_autocast_enabled(type_of(moment.model)):
            return None
        _, exponent = torch.frexp(inputs[0].float() * 2**0.5)
        powers = torch.ldexp(inputs[0].float().sign(), exponent - 1).to(inputs[0].dtype)
        return (inputs[0] + (powers - inputs[0]).detach(), *inputs[1:])

    if (moment.step, moment.micro) == (moment.first, 0):
        _first_layer_that_trains(moment.model).register_forward_pre_hook(rounded)


def _first_layer_that_trains(model: Any) -> Any:
    """What is frozen below everything that trains is not computed a second time. Where no layer trains, the first of
    the language model, through which the loss comes."""
    layers = [(path, module) for path, module in model.named_modules() if _LAYER.match(path)]
    trained = (one for _, one in layers if any(parameter.requires_grad for parameter in one.parameters()))
    others = (one for path, one in layers if not any(name in path for name in TOWERS))
    return next(itertools.chain(trained, others))
