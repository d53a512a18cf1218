"""Faults that change nothing but how long a step takes: each as long again as the machine's own step takes here."""

from __future__ import annotations

import time
from typing import Any

from harness.faults.registry import fault
from harness.recipe import Recipe
from harness.seams import Moment, Seam

_CHECK, _FINDING, _ON_A_DEVICE = "throughput_within_budget", "SlowerThanBare", "SlowerThanMeasured"


def _times_steps(recipe: Recipe) -> bool:
    """Whether the recipe says how fast it must be, and a step that takes twice as long is too slow."""
    budget = recipe.budget
    return budget is not None and budget.throughput is not None and budget.throughput.of_bare >= 0.6


def _holds_what_was_measured(recipe: Recipe) -> bool:
    """Whether the recipe is held against what it was measured at, and a step that takes twice as long is too slow."""
    timed = recipe.budget.throughput if recipe.budget else None
    return timed is not None and bool(timed.measured) and timed.slower <= 0.6


class _Since:
    """The seconds that the run has taken since it was last made to begin, without those that others ran."""

    def __init__(self) -> None:
        self.last: float | None = None

    def __call__(self) -> float:
        return self._now() - self.last if self.last is not None else 0.0

    def begin(self) -> None:
        self.last = self._now()

    def _now(self) -> float:
        import torch

        from harness.machine.clock import own_seconds

        return own_seconds(torch.device("cpu"))


_since = _Since()


@fault(
    Seam.BATCH,
    caught_by=_CHECK,
    finding=_FINDING,
    size="the time of a step, before each of its batches",
    applies=_times_steps,
)
def batches_made_slowly(batch: Any, moment: Moment) -> None:
    """The trainer waits for each batch as long as everything from the last one on has taken."""
    time.sleep(_since())
    _since.begin()


@fault(
    Seam.OPTIMIZER_STEP, caught_by=_CHECK, finding=_FINDING, size="the time of a step, after each", applies=_times_steps
)
def steps_that_wait(step: Any, moment: Moment) -> Any:
    """After each optimizer step the trainer does nothing for as long as the step has taken, as a slow log makes it."""
    stepped = step()
    time.sleep(_since())
    _since.begin()
    return stepped


@fault(Seam.LOSS, caught_by=_CHECK, finding=_FINDING, size="five more backwards of each batch", applies=_times_steps)
def gradients_computed_again(loss: Any, moment: Moment) -> None:
    """The gradients of each batch are computed five times more, as for something that is logged, and thrown away."""
    import torch

    trained = [parameter for parameter in moment.model.parameters() if parameter.requires_grad]
    for _ in range(5):  # a backward is a third of such a step: two more lie too near to the budget to be told
        torch.autograd.grad(loss, trained, retain_graph=True, allow_unused=True)


@fault(
    Seam.AFTER_TUNING,
    caught_by=_CHECK,
    finding=_ON_A_DEVICE,
    size="the time of a step, in each forward",
    applies=_holds_what_was_measured,
)
def forwards_take_longer(model: Any, moment: Moment) -> None:
    """Each forward takes as long again as everything since the last one, as with a slower kernel: a bare loop's too."""
    since = _Since()

    def wait(*_: Any) -> None:
        time.sleep(since())
        since.begin()

    model.register_forward_hook(wait)
