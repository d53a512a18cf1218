"""Several processes of one training are one trace, and one training."""

from __future__ import annotations

import pytest

from tests.tracing.conftest import Ran, with_each_defect

SELDOM = {"every": 2}
BY_DESIGN = ("unequally many", "weights averaged")
DEFECTS = {
    "same data": ("processes_see_their_own_data", "SameData"),
    "around the wrapper": ("replicas_agree", "GradientsApart"),
    "never met": ("replicas_agree", "Strangers"),
    "sharded, frozen in part, decays": ("frozen_stays", "FrozenStepped"),
    "sharded, optimizer first": ("optimizer_holds_trained_once", "MadeAfterOptimizer"),
    "sharded, saved as begun": ("trained_values_saved", "SavedAsBegun"),
}
SHARDED = (
    "sharded",
    "sharded, frozen in part",
    "sharded, optimizer first, given the parts",
    "sharded, saved",
)


@pytest.fixture(scope="module", params=[{}, SELDOM], ids=["each step", "every second step"])
def ran(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Ran]:
    return with_each_defect(
        "processes.py", tmp_path_factory.mktemp("processes"), [*DEFECTS, *SHARDED, *BY_DESIGN], request.param
    )


def test_its_processes_are_one_trace_and_its_launcher_none(ran: dict[str, Ran]) -> None:
    (trace,) = ran[""].traces

    assert [rank.rank for rank in trace.ranks] == [0, 1]
    assert all(rank.closed and len(rank.steps) == 3 for rank in trace.ranks)


def test_healthy_processes_are_silent(ran: dict[str, Ran]) -> None:
    results = ran[""].results()

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]
    assert results["replicas_agree"].status.value == "passed"
    assert results["processes_see_their_own_data"].status.value == "passed"


@pytest.mark.parametrize("name", BY_DESIGN)
def test_what_differs_between_processes_by_design_is_no_finding(ran: dict[str, Ran], name: str) -> None:
    results = ran[name].results()

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]
    assert results["replicas_agree"].status.value == "passed"


@pytest.mark.parametrize("name", SHARDED)
def test_healthy_processes_that_have_parts_each_are_silent(ran: dict[str, Ran], name: str) -> None:
    results = ran[name].results()

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]
    assert sum(one.status.value == "passed" for one in results.values()) >= 10


def test_parts_of_each_process_come_to_the_whole_that_each_would_have(ran: dict[str, Ran]) -> None:
    whole, parts = (ran[name].trace.parameters for name in ("", "sharded"))

    assert [(one.path, one.shape, one.first, one.last) for one in parts] == [
        (one.path, one.shape, one.first, one.last) for one in whole
    ]
    assert [one.changed for one in parts] == [one.changed for one in whole]


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(ran: dict[str, Ran], name: str) -> None:
    check, kind = DEFECTS[name]
    results = ran[name].results()

    assert results[check].status.value == "failed", ran[name].printed
    assert kind in {finding.kind for finding in results[check].findings}
    assert results["run.completed"].status.value == "passed"
