"""A run that is held against what this device did before: slower, faster, and the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.checks.paced import pace_of
from harness.faults import FAULTS
from harness.recipe import Recipe
from harness.recipe.budgets import Measured
from harness.result import Result, Severity, Status
from harness.running.fault_table import fault_row
from harness.running.session import Session
from harness.trace.reader import read_trace

NAME, CHECK = "within_budget/llava-lora", "throughput_within_budget"
SLOWER = FAULTS["forwards_take_longer"]
FACTOR = 2  # how much longer a step takes with the fault
Judged = Callable[[Recipe, str], Result]


@pytest.fixture
def judged(warm: Any, bases: Path, tmp_path: Path) -> Judged:
    return lambda recipe, folder: Session(warm, tmp_path / folder, bases=bases).results(NAME, recipe, [CHECK])[CHECK]


def held_against(recipe: Recipe, out: Path, times: float = 1) -> Recipe:
    """The recipe, held against what its run under `out` was measured at, or so many times that."""
    (measured,) = out.glob("runs/*paced*/trace/measured.json")
    pace = pace_of(read_trace(measured.parent))
    here = Measured(device=pace.device, of_matmul=pace.of_matmul.middle * times, torch=pace.torch)
    assert recipe.budget is not None
    assert recipe.budget.throughput is not None
    throughput = recipe.budget.throughput.model_copy(update={"measured": (here,)})
    return recipe.model_copy(update={"budget": recipe.budget.model_copy(update={"throughput": throughput})})


def test_a_slower_and_a_faster_run_than_was_measured(
    judged: Judged, shipped: dict[str, Recipe], warm: Any, bases: Path, tmp_path: Path
) -> None:
    assert judged(shipped[NAME], "first").findings == ()
    recipe = held_against(shipped[NAME], tmp_path / "first")
    assert judged(recipe, "again").findings == ()

    slow = fault_row(SLOWER, NAME, recipe, warm, tmp_path / "slow", bases)
    assert slow.caught, [result.to_json() for result in slow.results if result.status is not Status.PASSED]
    kinds = {finding.kind for result in slow.results for finding in result.findings if result.check == CHECK}
    assert kinds == {SLOWER.finding}  # the bare loop waits with it

    faster = judged(held_against(shipped[NAME], tmp_path / "first", 1 / FACTOR), "faster")
    assert [(found.kind, found.severity) for found in faster.findings] == [("FasterThanMeasured", Severity.WARNING)]
