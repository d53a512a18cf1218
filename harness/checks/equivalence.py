"""Two ways of making one run that must lead to the same weights, whatever the losses say.

Both are made: the recipe's own, and a partner run in which one setting is another. Bits may differ, for sums are made
in another order; how far is the comparator's tolerance for other kernels.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.checks.needs import ALONE, Closed, Need, Parameters, Partner, Steps
from harness.checks.registry import check
from harness.result import Finding, Reason
from harness.wording import count

if TYPE_CHECKING:
    from harness.comparator.tolerances import Tolerances
    from harness.intent import Intent
    from harness.recipe import Recipe
    from harness.trace.reader import Trace

# What a step comes to, however it was made up of micro-batches.
OF_STEPS = (
    "steps",
    "skipped",
    "learning rate",
    "norm that was clipped",
    "gradient norm at optimizer",
    "weights' mean square",
    "weights' peak",
    "final values",
)
_MEANT = tuple(ALONE)


class AccumulationMatters(Finding):
    """Steps over several micro-batches that are not those over one batch of the same samples."""


class CheckpointingMatters(Finding):
    """Steps with recomputed forwards that are not those with kept ones."""


class ProcessesMatter(Finding):
    """Steps shared by several processes that are not those of one with as many samples."""


class EngineMatters(Finding):
    """Steps of a trainer that are not those of a plain loop over the same micro-batches."""


class PrecisionMatters(Finding):
    """Steps computed in 16 bits that are not those computed in fp32, by more than rounding explains."""


# What the engine has no part in, and what it has done to the bit where the arithmetic is the same.
_BIT_BY_BIT = (*OF_STEPS, "loss", "value of backward", "weights", "final weights", "optimizer state")


@dataclass(frozen=True)
class AgreesWith(Need):
    """The recipe promises to agree with another way of making it: only then is that run worth its time."""

    other: str = ""

    def refusal(self, intent: Intent) -> Reason | None:
        return None if self.other in intent.agrees_with else Reason.NOT_ASKED_TO_AGREE


def _in_one_batch(recipe: Recipe) -> dict[str, Any]:
    size = recipe.optimizer.accumulation * recipe.data.batch_size
    return {"optimizer.accumulation": 1, "data.batch_size": size, **ALONE}


def _in_one_process(recipe: Recipe) -> dict[str, Any]:
    size = recipe.processes * recipe.data.batch_size
    return {"processes": 1, "data.batch_size": size, "launch": {}, **ALONE}


def _by_a_plain_loop(recipe: Recipe) -> dict[str, Any]:
    return {"engine": "torch", "deepspeed": {}, **ALONE}


def _without_checkpointing(recipe: Recipe) -> dict[str, Any]:
    return {"checkpointing": False, **ALONE}


def _in_fp32(recipe: Recipe) -> dict[str, Any]:
    return {"precision": "fp32", "loss_scaler": {}, **ALONE}


@check(
    "steps over several micro-batches are those over one batch of the same samples, in gradients and weights",
    source="transformers #34191, MiniCPM-V without DeepSpeed: equal losses, and gradients that are not",
    needs=[
        Closed,
        Parameters,
        Steps(1),
        AgreesWith(other="one-batch"),
        Partner(name="in_one_batch", changes=_in_one_batch),
    ],
)
def accumulation_equals_one_batch(intent: Intent, trace: Trace, in_one_batch: Trace) -> Iterator[Finding]:
    differing = ("optimizer.accumulation", "data.batch_size")
    for expected, seen, where in parted(trace, in_one_batch, differing, "one batch"):
        yield AccumulationMatters(
            expected=expected,
            seen=seen,
            where=where,
            cause="the losses of a step are not weighted by the tokens that they are means of, or not divided at all",
            do="divide each micro-batch's summed loss by the tokens of the whole step",
        )


@check(
    "steps shared by several processes are those of one with as many samples, in gradients and weights",
    source="gradients summed instead of averaged, or means of unequal batches averaged as if they were equal",
    needs=[
        Closed,
        Parameters,
        Steps(1),
        AgreesWith(other="one-process"),
        Partner(name="in_one_process", changes=_in_one_process),
    ],
)
def processes_equal_one(intent: Intent, trace: Trace, in_one_process: Trace) -> Iterator[Finding]:
    differing = ("processes", "data.batch_size", "launch")
    for expected, seen, where in parted(trace, in_one_process, differing, "one process"):
        yield ProcessesMatter(
            expected=expected,
            seen=seen,
            where=where,
            cause="gradients are summed and not averaged, or each process weights its loss by its own tokens alone",
            do="divide each process's summed loss by the tokens of all, times the number of processes",
        )


@check(
    "steps with recomputed forwards are those with kept ones, in gradients and weights",
    source="transformers #26221: under checkpointing layers were recomputed with other settings than at first",
    needs=[
        Closed,
        Parameters,
        Steps(1),
        AgreesWith(other="no-checkpointing"),
        Partner(name="without_checkpointing", changes=_without_checkpointing),
    ],
)
def checkpointing_changes_nothing(intent: Intent, trace: Trace, without_checkpointing: Trace) -> Iterator[Finding]:
    for expected, seen, where in parted(trace, without_checkpointing, ("checkpointing",), "kept forwards"):
        yield CheckpointingMatters(
            expected=expected,
            seen=seen,
            where=where,
            cause="what a layer computes the second time is something else: random numbers, buffers or settings moved",
        )


@check(
    "a trainer's steps are those of a plain loop, in gradients and weights: to the bit where it computes the same",
    source="transformers #34191, #35438, #37208: what a trainer divides by is its own affair, until it is wrong",
    needs=[
        Closed,
        Parameters,
        Steps(1),
        AgreesWith(other="torch"),
        Partner(name="by_a_plain_loop", changes=_by_a_plain_loop),
    ],
)
def engine_changes_nothing(intent: Intent, trace: Trace, by_a_plain_loop: Trace) -> Iterator[Finding]:
    from harness.comparator import BITWISE

    told = any("items" in event for event in trace.of("forward"))  # of the step's tokens: its loss is a part of theirs
    within_rounding = OF_STEPS if told else (*OF_STEPS, "loss")
    fields, tolerances = (_BIT_BY_BIT, BITWISE) if _same_arithmetic(intent) else (within_rounding, None)
    differing = ("engine", "deepspeed")
    for expected, seen, where in parted(trace, by_a_plain_loop, differing, "a plain loop", fields, tolerances):
        yield EngineMatters(
            expected=expected,
            seen=seen,
            where=where,
            cause="the trainer was given, or takes for itself, another setting than the recipe's: betas, epsilon,"
            " decay, what a loss is divided by",
        )


def _same_arithmetic(intent: Intent) -> bool:
    """Whether a mean of micro-batches divides by a power of two: then it is all one when, and in which precision.

    DeepSpeed sums gradients and squares of flat tensors, in an order of its own.
    """
    asked = intent.mechanisms
    if asked.zero:
        return False
    sizes = {asked.micro_batches(step) for step in intent.step_numbers or (0,)}
    return asked.loss_average == "micro-batch" and all(size & (size - 1) == 0 for size in sizes)


_EXPERT = re.compile(r"\bexperts\b")


@check(
    "steps computed in 16 bits are those computed in fp32, as far as rounding explains",
    source="transformers #33401: a head computed in 16 bits; losses that are near, and gradients that are not",
    needs=[Closed, Parameters, Steps(1), AgreesWith(other="fp32"), Partner(name="in_fp32", changes=_in_fp32)],
)
def precision_changes_little(intent: Intent, trace: Trace, in_fp32: Trace) -> Iterator[Finding]:
    from harness.comparator.tolerances import of_another_precision

    tolerances = of_another_precision(trace, any(_EXPERT.search(parameter.key) for parameter in trace.parameters))
    scaled = bool(trace.of("scaler"))  # then backward starts from another multiple of the loss
    fields = (*OF_STEPS, "loss", *(() if scaled else ("value of backward",)))
    settings = ("precision", "loss_scaler")
    for expected, seen, where in parted(trace, in_fp32, settings, "fp32", fields, tolerances):
        yield PrecisionMatters(
            expected=expected,
            seen=seen,
            where=where,
            cause="something is computed in fewer bits than autocast would, or overflows in 16",
        )


def parted(
    trace: Trace,
    partner: Trace,
    differing: Collection[str],
    other: str,
    fields: Collection[str] = OF_STEPS,
    tolerances: Tolerances | None = None,
) -> Iterator[tuple[str, str, str]]:
    """Expected, seen and where of the first point at which the two part ways, if they do."""
    from harness.comparator import across_stacks, compare  # which loads numpy: listing checks needs none

    tolerances = tolerances or across_stacks(trace, partner)
    found = compare(trace, partner, tolerances, fields=fields, may_differ=(*differing, *_MEANT), by_step=True)
    if found.reasons:
        yield f"the run over {other} to be of the same experiment", "; ".join(found.reasons), "the two runs"
    elif found.first:
        by = "" if found.first.relative is None else f", {found.first.relative:.3g} of the larger"
        yield (
            f"{found.first.second} as over {other} ({found.first.place.field})",
            f"{found.first.first}{by}; {count(len(found.differences), 'value')} beyond what rounding explains",
            str(found.first.place),
        )
