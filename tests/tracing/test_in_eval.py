"""A training in eval mode is followed as one in training mode, and what is only looked at is none of it."""

from __future__ import annotations

import pytest

from tests.tracing.conftest import Ran, with_each_defect

ALIKE = ("", "looks", "train mode")
PAIRS = ("pairs", "pairs, train mode")
DEFECTS = {
    "not zeroed": ("gradients_fresh", "StaleGradients"),
    "not divided": ("accumulation_consistent", "OtherShare"),
    "looks, not divided": ("accumulation_consistent", "OtherShare"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    return with_each_defect("in_eval.py", tmp_path_factory.mktemp("in_eval"), [*ALIKE[1:], *PAIRS, *DEFECTS])


@pytest.mark.parametrize("name", ALIKE)
def test_each_forward_of_the_training_is_in_its_place(ran: dict[str, Ran], name: str) -> None:
    told = [one for one in ran[name].trace.of("forward") if one["training"]]

    assert [(one["step"], one["micro"]) for one in told] == [(step, micro) for step in range(4) for micro in range(2)]
    assert told[0]["dtypes"] == {"Linear": ["float32"]}
    assert not any("dtypes" in one for one in told[1:])


@pytest.mark.parametrize("name", PAIRS)
def test_layers_are_watched_through_all_forwards_of_a_backward_pass(ran: dict[str, Ran], name: str) -> None:
    first, *later = ran[name].trace.of("backward")

    assert (first["recomputed"], any("recomputed" in one for one in later)) == ({}, False)
    assert [one["training"] for one in ran[name].trace.of("forward")] == [True] * 8


def test_what_is_looked_at_is_told_as_that(ran: dict[str, Ran]) -> None:
    assert sum(not one["training"] for one in ran["looks"].trace.of("forward")) == 8


@pytest.mark.parametrize("name", ALIKE)
def test_a_healthy_run_is_silent(ran: dict[str, Ran], name: str) -> None:
    results = ran[name].results()

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]
    assert results["evaluation_repeats"].status.value == "passed"


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(ran: dict[str, Ran], name: str) -> None:
    check, kind = DEFECTS[name]

    assert kind in {finding.kind for finding in ran[name].results()[check].findings}, ran[name].printed
