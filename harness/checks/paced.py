"""The run beside a recipe's own that was timed: what its steps, a bare loop's and a matrix product came to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.checks.needs import ALONE, Need, Partner
from harness.checks.order_statistics import ALARM, Bounds, bounds
from harness.result import Reason

if TYPE_CHECKING:
    from harness.intent import Intent
    from harness.recipe import Recipe
    from harness.recipe.budgets import Throughput
    from harness.trace.reader import Trace

PACED = "paced"


def timed_settings(recipe: Recipe) -> dict[str, Any]:
    """Of the timed run: as many steps as its windows take, each window over the same samples, and nothing saved but
    where saving is watched too."""
    assert recipe.budget is not None
    timed, of_a_step = recipe.budget.throughput, recipe.optimizer.accumulation * recipe.data.batch_size
    differ = steps_that_differ(timed.window, of_a_step, len(recipe.data.mix)) if timed else recipe.budget.steps
    return {
        "steps": recipe.budget.steps,
        "data.samples": differ * of_a_step,
        "interrupted_after": None,
        "loss_scaler.overflow_at": None,  # the steps that are measured are as others, and more of them
        **(ALONE if not recipe.budget.memory else {"agrees_with": []}),
    }


def steps_that_differ(window: int, of_a_step: int, kinds: int) -> int:
    """How many steps a window has before it begins anew: two or more, as few as have a sample of each kind, and a
    whole number of times in a window. Operations are counted once for each shape, which takes longer than a step."""
    fitting = (few for few in range(2, window) if window % few == 0 and few * of_a_step >= kinds)
    return next(fitting, window)


@dataclass(frozen=True)
class TimedRun(Partner):
    """The run that is measured, of a recipe that states a budget."""

    name: str = PACED
    changes: Callable[[Recipe], Mapping[str, Any]] = timed_settings
    measured: bool = True


@dataclass(frozen=True)
class AThroughputBudget(Need):
    def refusal(self, intent: Intent) -> Reason | None:
        return None if intent.budget and intent.budget.throughput else Reason.NO_THROUGHPUT_BUDGET

    def incomparable(self, intent: Intent, partners: Mapping[str, Trace]) -> str | None:
        assert intent.budget is not None
        assert intent.budget.throughput is not None
        return undecided(intent.budget.throughput, pace_of(partners[PACED]))


@dataclass(frozen=True)
class Pace:
    """What was measured. `of_bare` is the run's speed over the bare loop's, `of_matmul` model FLOPs over a product's;
    `spread` is how far the middle half of the run's windows lie apart, as a part of their median."""

    device: str
    torch: str
    of_bare: Bounds
    of_matmul: Bounds
    spread: float
    seconds_per_step: float
    bare_seconds_per_step: float
    windows: int


class PacedAndWhole(TimedRun):
    """A timed run that came so far that all its windows are there."""

    def missing_of(self, partner: Trace) -> str | None:
        pace = partner.measured.get("pace") or {}
        if not pace.get("run") or not partner.probe("operations"):
            return "nothing was timed"
        try:
            pace_of(partner)
        except (ValueError, KeyError, TypeError, ArithmeticError):
            return f"{len(pace['run'].get('seconds', ()))} windows were timed, too few to tell"
        return None


def pace_of(trace: Trace) -> Pace:
    """What a timed run came to. Raises ValueError for too few windows."""
    measured = trace.measured["pace"]
    operations = trace.probe("operations")
    assert operations is not None
    run, bare, window = measured["run"], measured["bare"], measured["window"]
    seconds = run["seconds"]
    flops = sum(operations["flops"])
    used = [flops / products for products in _in_products(run)]
    own, others = bounds(_in_products(run), ALARM / 2), bounds(_in_products(bare), ALARM / 2)
    return Pace(
        device=measured["device"],
        torch=measured["torch"],
        of_bare=others.over(own),
        of_matmul=bounds(used),
        spread=_spread(seconds),
        seconds_per_step=median(seconds) / window,
        bare_seconds_per_step=median(bare["seconds"]) / window,
        windows=len(seconds),
    )


def _in_products(windows: Mapping[str, list[float]]) -> list[float]:
    """How many operations of a matrix product each window took the time of.

    What slows everything for a while, such as the other thread of a core or its clock, slows both. Measured, a run of
    windows at 31 ms a step, and at 22 ms when a neighbour had ended, came to 13.8 and 12.2 in this measure.
    """
    rates = [(before + after) / 2 for before, after in itertools.pairwise(windows["matmul"])]
    return [took * rate for took, rate in zip(windows["seconds"], rates, strict=True)]


def undecided(asked: Throughput, pace: Pace) -> str | None:
    """Why what was measured says neither that the run keeps its budget nor that it does not."""
    if pace.of_bare.low < asked.of_bare:
        return (
            f"too noisy to tell: between {pace.of_bare.low:.0%} and {pace.of_bare.high:.0%} of the bare loop's speed, "
            f"and {asked.of_bare:.0%} is the least"
        )
    if not (asked.pinned or asked.measured):
        return None
    if (known := asked.on(pace.device)) is None:
        others = ", ".join(one.device for one in asked.measured) or "none"
        return f"no budget was measured on {pace.device}; there are those of: {others}"
    if pace.of_matmul.low < (least := known.of_matmul / (1 + asked.slower)):
        return (
            f"too noisy to tell: between {pace.of_matmul.low:.3%} and {pace.of_matmul.high:.3%} of the matrix rate, "
            f"and {least:.3%} is the least"
        )
    return None


def _spread(values: list[float]) -> float:
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return (ordered[-1 - quarter] - ordered[quarter]) / ordered[len(ordered) // 2]
