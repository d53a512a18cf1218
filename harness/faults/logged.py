"""Faults of logging: the run is right, and what is written down of it is not."""

from __future__ import annotations

from typing import Any

from harness.faults.registry import fault
from harness.faults.steps_taken import groups
from harness.recipe import Recipe
from harness.seams import Moment, Seam

CHECK = "logged_values_equal_recorded"


def _logs(recipe: Recipe) -> bool:
    return recipe.logging is not None


def _accumulates(recipe: Recipe) -> bool:
    at_second = groups(recipe)[0 if recipe.interrupted_after else 1]
    return _logs(recipe) and at_second > 1


def _has_two_rates(recipe: Recipe) -> bool:
    """Whether something trains at another rate than something else; an adapter has the rate of all."""
    asked = recipe.optimizer
    rates = {asked.component_rates.get(part.component, asked.learning_rate) for part in recipe.tune}
    return _logs(recipe) and len(rates | ({asked.learning_rate} if recipe.peft else set())) > 1


@fault(
    Seam.LOGGED,
    caught_by=CHECK,
    finding="OtherLossLogged",
    size="one factor at one step",
    applies=_accumulates,
)
def logged_loss_not_multiplied_back(values: dict[str, Any], moment: Moment) -> None:
    """At one step the logged loss is the divided one, with which backward began."""
    if moment.at_second:
        values["loss"] /= moment.micro_batches


@fault(Seam.LOGGED, caught_by=CHECK, finding="OtherStepsLogged", size="one number", applies=_logs)
def logged_steps_counted_from_nought(values: dict[str, Any], moment: Moment) -> None:
    """Each step is logged under the number of the one before."""
    values["step"] -= 1


@fault(Seam.LOGGED, caught_by=CHECK, finding="OtherRateLogged", size="one group at one step", applies=_has_two_rates)
def logged_rate_of_another_group(values: dict[str, Any], moment: Moment) -> None:
    """At one step the logged rate is that of a group with another."""
    if moment.at_second:
        rates = (float(group["lr"]) for group in moment.optimizer.param_groups)
        values["learning_rate"] = next((rate for rate in rates if rate != values["learning_rate"]), 0.0)
