"""Models that are trained in parts: each part is followed, and none is taken for what it is not."""

from __future__ import annotations

import pytest

from tests.tracing.conftest import Ran, with_each_defect

HEALTHY = ("in turn", "in a list", "in a pipeline", "with layers split")
DEFECTS = {
    "in turn, head not asked": ("trained_is_used", "NeverUsed"),
    "in a list, frozen decays": ("frozen_stays", "FrozenStepped"),
}


@pytest.fixture(scope="module", params=[0, 3], ids=["as it is chosen", "every third step"])
def ran(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Ran]:
    place = tmp_path_factory.mktemp("in_parts")
    return with_each_defect("in_parts.py", place, [*HEALTHY, *DEFECTS], {"every": request.param})


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_runs_are_silent(ran: dict[str, Ran], name: str) -> None:
    results = ran[name].results()

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]
    assert sum(one.status.value == "passed" for one in results.values()) >= 8


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(ran: dict[str, Ran], name: str) -> None:
    check, kind = DEFECTS[name]
    results = ran[name].results()

    assert kind in {finding.kind for finding in results[check].findings}, ran[name].printed
    assert results["run.completed"].status.value == "passed"


def test_every_optimizer_is_looked_at_however_seldom(ran: dict[str, Ran]) -> None:
    trace = ran["in turn"].trace
    looked = {event["optimizer"] for event in trace.steps if event["values"]}

    assert looked == {"optimizer0", "optimizer1", "optimizer2"}
    assert len(trace.of("optimizer")) == 3


def test_a_stage_is_no_replica(ran: dict[str, Ran]) -> None:
    result = ran["in a pipeline"].results()["replicas_agree"]

    assert (result.status.value, "parts of one" in result.reason) == ("not_applicable", True)


def test_processes_that_split_layers_are_given_the_same_data(ran: dict[str, Ran]) -> None:
    result = ran["with layers split"].results()["processes_see_their_own_data"]

    assert (result.status.value, "parts of the same layers" in result.reason) == ("not_applicable", True)
