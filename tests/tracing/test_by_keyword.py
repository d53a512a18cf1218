"""What is called with its arguments by name is seen as what is called by place."""

from __future__ import annotations

import pytest

from tests.tracing.conftest import Ran, with_each_defect

DEFECTS = {"other names": ("loads_arrive", "LoadedNothing"), "saved as begun": ("trained_values_saved", "SavedAsBegun")}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    return with_each_defect("by_keyword.py", tmp_path_factory.mktemp("by_keyword"), DEFECTS)


def test_a_healthy_script_is_silent_and_nothing_of_it_is_lost(ran: dict[str, Ran]) -> None:
    results, trace = ran[""].results(), ran[""].trace

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]
    assert not trace.of("lost_sight")
    assert {"model.pt", "model.safetensors", "again.safetensors"} <= {e["file"] for e in trace.of("weights_saved")}
    assert [event["directory"] for event in trace.of("save")] == ["saved"]
    assert [len(trace.of(kind)) for kind in ("load", "clip", "backward")] == [1, 4, 4]


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(ran: dict[str, Ran], name: str) -> None:
    check, kind = DEFECTS[name]
    results = ran[name].results()

    assert kind in {finding.kind for finding in results[check].findings}, ran[name].printed
    assert results["run.completed"].status.value == "passed"
