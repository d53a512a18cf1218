"""A run in two processes, one after the other: what goes on is what was stopped, and a bad checkpoint is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.engines.going_on import read
from harness.engines.torch_loop import SCALE_THAT_FITS
from harness.faults import FAULTS
from harness.recipe import Recipe
from harness.refusal import Refused
from harness.running.fault_table import fault_row

RECIPE = Recipe(family="llava-1.5-7b", tune=["connector"], precision="fp16", interrupted_after=2)
NAME = "minicpm_v/lora-interrupted"


def test_the_trace_is_of_the_steps_after_the_interruption(make: Any, tmp_path: Path) -> None:
    trace = make(RECIPE)
    steps = [step["step"] for step in trace.steps]

    assert steps == [2, 3]
    assert trace.closed
    assert not any(step["skipped"] for step in trace.steps)  # the scale that overflows was the first process's
    assert trace.of("scaler_loaded")[0]["scale"] == SCALE_THAT_FITS
    assert len(trace.of("data")[0]["samples"]) == len(steps)
    frozen = [p.index for p in trace.parameters if not p.requires_grad]
    moved = [p.index for p in trace.parameters if p.requires_grad]
    changed = trace.steps[0]["values"][trace.model["model"]]["changed"]
    assert not any(changed[index] for index in frozen)
    assert all(changed[index] for index in moved)


def test_a_step_that_is_skipped_after_going_on_has_changed_nothing(make: Any) -> None:
    settings = {**RECIPE.model_dump(exclude_defaults=True), "loss_scaler": {"init_scale": 2.0**30}, "steps": 5}
    trace = make(Recipe.model_validate({**settings, "interrupted_after": 1}))
    skipped = [step for step in trace.steps if step["skipped"]]

    assert skipped[0]["step"] == 1
    assert not any(skipped[0]["values"][trace.model["model"]]["changed"])


def test_what_fails_before_the_interruption_is_the_run_s_own_failure(warm: Any, bases: Path, tmp_path: Path) -> None:
    row = fault_row(FAULTS["raise_in_training"], "bad", RECIPE, warm, tmp_path, bases)
    (finding,) = next(one for one in row.results if one.check == "run.completed").findings

    assert "an exception put there on purpose" in finding.seen
    assert finding.where.startswith("stage train")


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("optimizer_state_not_restored", "the optimizer's state"),
        ("schedule_begins_anew", "the schedule begins anew"),
        ("scaler_begins_anew", "the gradient scaler begins anew"),
        ("random_numbers_begin_anew", "random numbers begin anew"),
        ("data_begin_anew", "the data begin anew"),
        ("weights_of_checkpoint_halved", "the weights are not those"),
    ],
)
def test_what_is_not_restored_is_named(fault: str, cause: str, shipped: Any, warm: Any, bases: Path, tmp_path) -> None:
    row = fault_row(FAULTS[fault], NAME, shipped[NAME], warm, tmp_path, bases)
    (finding,) = next(one for one in row.results if one.check == "resumed_equals_uninterrupted").findings

    assert finding.cause.startswith(cause), finding


def test_no_checkpoint_another_recipe_s_and_a_damaged_one_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    other = RECIPE.model_copy(update={"seed": 1, "precision": "bf16"})

    def refusal() -> str:
        with pytest.raises(Refused) as refused:
            read(file, RECIPE)
        assert "\n" not in str(refused.value)
        return str(refused.value)

    assert refusal().startswith(f"{file}: there is no checkpoint to go on from")
    torch.save({"recipe": other.model_dump(mode="json", exclude_defaults=True)}, file)
    assert "of another recipe: they differ in precision, seed" in refusal()
    file.write_bytes(b"no checkpoint")
    assert "the checkpoint cannot be read" in refusal()
    torch.save({"recipe": RECIPE.model_dump(mode="json", exclude_defaults=True)}, file)
    assert read(file, RECIPE)["recipe"]["interrupted_after"] == RECIPE.interrupted_after
