"""Two real runs, one of them altered in one place: the comparator names the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.comparator import Verdict, compare
from harness.recipe import Recipe
from harness.running.fault_table import COMPLETION
from harness.running.session import Session
from harness.trace.reader import Trace, read_trace

RECIPE = "llava/connector[fp32]"
# What is altered, and where two runs then part ways first: the field and the optimizer step.
PARTED = {
    "one_state_in_bf16": "optimizer state",
    "one_sample_substituted": "samples",
    "zero_grad_left_out_once": "gradient norm at backward",
    "shrink_the_rate": "learning rate",
    "clipped_to_twice_the_norm": "gradient norm at optimizer",
}


def run(recipe: Recipe, sockets: object, bases: Path, out: Path, faults: tuple[str, ...] = ()) -> Trace:
    Session(sockets, out, faults=faults, bases=bases).results(RECIPE, recipe, [COMPLETION])  # type: ignore[arg-type]
    trace = read_trace(next(out.glob("runs/*/trace")))
    trace.header["faults"] = []  # a run that is altered unawares says nothing of it
    return trace


@pytest.fixture(scope="module")
def sound(shipped, warm, bases, tmp_path_factory) -> Trace:
    return run(shipped[RECIPE], warm, bases, tmp_path_factory.mktemp("sound"))


def test_the_same_run_again_is_equal(sound, shipped, warm, bases, tmp_path: Path) -> None:
    assert compare(sound, run(shipped[RECIPE], warm, bases, tmp_path)).verdict is Verdict.EQUAL


@pytest.mark.parametrize("fault", PARTED)
def test_the_place_that_was_altered_is_the_first_point_of_divergence(
    fault, sound, shipped, warm, bases, tmp_path: Path
) -> None:
    found = compare(sound, run(shipped[RECIPE], warm, bases, tmp_path, (fault,)))
    assert found.verdict is Verdict.DIFFERENT
    assert found.first is not None
    assert found.first.place.field == PARTED[fault]
    assert found.first.place.step is not None
