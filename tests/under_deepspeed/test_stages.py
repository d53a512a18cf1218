"""The stages of ZeRO are one training: with equal losses, and with a trace that is that of the whole model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.checks import CHECKS
from harness.comparator.arrays_of import final_values
from harness.recipe import Recipe
from harness.result import Status
from harness.running.planner import plan
from harness.running.runner import Evidence
from harness.running.session import Session, Sockets
from harness.trace.array_fingerprint import fingerprint
from harness.trace.reader import Trace

STAGES = ["zero/stage-0", "zero/stage-1", "zero/stage-2", "zero/stage-3"]
SIX_DIGITS = 1e-6


@pytest.fixture(scope="module")
def made(recipes: dict[str, Recipe], warm: Sockets, bases: Path, tmp_path_factory: pytest.TempPathFactory):
    session = Session(warm, tmp_path_factory.mktemp("out"), bases=bases)
    alone = [check for check in CHECKS if not check.partners]
    return {name: session.runner.carry_out(plan(name, recipes[name], alone)) for name in STAGES}


def losses(evidence: Evidence) -> list[float]:
    return [float(event["loss"]) for event in evidence.traces["main"].of("forward") if event["training"]]


@pytest.mark.parametrize("stage", STAGES[1:])
def test_losses_agree_to_six_digits(made: dict[str, Evidence], stage: str) -> None:
    assert losses(made[stage]) == pytest.approx(losses(made[STAGES[0]]), rel=SIX_DIGITS)


@pytest.mark.parametrize("stage", STAGES)
def test_the_trace_holds_whole_values_as_they_are(made: dict[str, Evidence], stage: str) -> None:
    """Fingerprints were added up from parts, arrays laid end to end: each says what the other does."""
    trace: Trace = made[stage].traces["main"]
    arrays = final_values(trace)

    assert len(arrays) == len(trace.parameters) > 50
    for parameter in trace.parameters:
        assert arrays[parameter.index].shape == parameter.shape
        assert fingerprint(arrays[parameter.index]) == parameter.last, parameter.key


def test_parts_of_stage_3_were_parts(made: dict[str, Evidence]) -> None:
    trace = made["zero/stage-3"].traces["main"]
    whole = [parameter.size for parameter in trace.parameters]

    sizes = np.array([one.of("deepspeed")[0]["sizes"] for one in trace.ranks])
    assert (sizes.sum(0) == whole).all()
    assert (sizes.max(0) <= (np.array(whole) + 1) // 2).all()
    assert trace.of("deepspeed")[0]["partitioned"] == len(whole)


@pytest.mark.parametrize("name", ["zero/one-process-stage-3", "zero/stage-3-lora", "zero/stage-2-offload-accumulation"])
def test_what_is_all_right_is_not_found(
    recipes: dict[str, Recipe], warm: Sockets, bases: Path, tmp_path: Path, name: str
) -> None:
    results = Session(warm, tmp_path, bases=bases).results(name, recipes[name], [check.name for check in CHECKS])

    assert {result.status for result in results.values()} == {Status.PASSED, Status.NOT_APPLICABLE}


def test_pictures_in_one_process_alone_end_within_the_time_and_say_why(
    recipes: dict[str, Recipe], warm: Sockets, bases: Path, tmp_path: Path
) -> None:
    """Where parameters are gathered as they are used, processes that use others wait for each other for ever."""
    settings = recipes["zero/stage-3"].model_dump(exclude_defaults=True)
    settings |= {"data": {"batch_size": 1, "mix": ["image", "text"]}, "launch": {"wait_seconds": 10}}
    recipe = Recipe.model_validate({**settings, "tune": ["vision", "connector", "llm"], "agrees_with": []})

    results = Session(warm, tmp_path, bases=bases).results("apart", recipe, ["run.completed"])

    findings = results["run.completed"].findings
    assert any("different exchanges" in finding.cause for finding in findings), findings
