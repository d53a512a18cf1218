"""What a finding says of what it found: how much, where, how many more."""

from typing import Any

import pytest
import torch

from harness.checks.movement import HALF_ULP
from tests.judging.specimens import Alteration
from tests.judging.training_specimens import A0, LAST, NAN, VISION, rounds_away

Evidence = Any


def test_the_size_of_a_difference_in_outputs_is_told(evidence: Evidence) -> None:
    evidence.reloaded["outputs"]["image"] = "?"
    (finding,) = evidence.judged("reloaded_outputs_equal_image").findings

    assert finding.seen == "logits off by 0.5 (the largest is 1)"


def test_a_sample_out_of_place_is_named(evidence: Evidence) -> None:
    evidence.one("forward", 3)["samples"][1] = "sample-0-0"
    (finding,) = evidence.judged("samples_in_order").findings

    assert (finding.expected, finding.seen, finding.where) == ("sample 3b", "sample 0a", "micro-batch 3, row 1")


def test_what_is_missing_of_the_data_is_named(evidence: Evidence) -> None:
    evidence.one("forward", 2)["samples"].pop()
    evidence.events.remove(evidence.one("forward", LAST))
    (finding,) = evidence.judged("samples_in_order").findings

    assert (finding.expected, finding.where) == ("sample 2b", "micro-batch 2, row 1")
    assert finding.seen == "no sample, and 2 more rows differ"


def test_a_finding_counts_and_lists_what_it_found(evidence: Evidence) -> None:
    for path in ("vision.layers.0.q_proj.weight", VISION):
        evidence.moves(path, elements=3)
    evidence.moves("0.fc.weight")
    vision, language = evidence.judged("frozen_parameters_unchanged").findings

    assert vision.seen == "2 parameters changed, 6 elements at most at one step"
    assert vision.where == "vision.layers.0.q_proj.weight, vision.norm.weight"
    assert language.seen == "1 parameter changed, 1 element at most at one step"


@pytest.mark.parametrize(
    ("check", "alter", "seen"),
    [
        ("losses_finite", lambda e: [one.update(loss=NAN) for one in e.all("forward")], "and 5 more"),
        ("losses_finite", lambda e: [one.update(value=NAN) for one in e.all("backward")], "and 5 more"),
        ("labels_present", lambda e: [one.update(labels=0) for one in e.all("forward")], "and at 5 more"),
        ("gradients_finite", lambda e: e.put("gradients", "norm", A0, NAN, moment="optimizer"), "1 gradient"),
    ],
    ids=["losses", "backward", "labels", "gradients"],
)
def test_a_fault_at_every_step_is_one_finding(evidence: Evidence, check: str, alter: Alteration, seen: str) -> None:
    alter(evidence)
    (finding,) = evidence.judged(check).findings

    assert seen in finding.seen


@pytest.mark.parametrize(
    ("outcome", "seen"),
    [
        ({}, "the stream has no closing record"),
        ({"ended": "killed by signal 9", "code": -9}, "killed by signal 9"),
        ({"ended": "exited with 1", "code": 1, "last_output": "Boom"}, "exited with 1; it said: Boom"),
    ],
    ids=["unknown", "killed", "with last words"],
)
def test_how_a_process_ended_is_told(evidence: Evidence, outcome: dict[str, Any], seen: str) -> None:
    evidence.drop("closing")
    evidence.outcome = outcome
    (finding,) = evidence.judged("run.completed").findings

    assert finding.seen == seen
    assert finding.where == "stage start, after 3 optimizer steps"


def test_how_much_was_lost_to_rounding_is_told(evidence: Evidence) -> None:
    rounds_away(evidence, 1)
    (finding,) = evidence.judged("updates_not_lost_to_rounding").findings

    assert finding.seen == "1 of 4 elements changed (25.00 %), in float32"
    assert "0.01" in finding.cause


@pytest.mark.parametrize("dtype", HALF_ULP)
def test_half_an_ulp_follows_from_the_precision(dtype: str) -> None:
    assert HALF_ULP[dtype] == torch.finfo(getattr(torch, dtype)).eps / 2
