"""Kinds of adapters, traced without an intent."""

from __future__ import annotations

import pytest

from tests.tracing.conftest import Ran, with_each_defect

HEALTHY = ("lora", "dora", "ia3", "prompt", "modules to save", "tokens")
MERGED = "merged between"
DEFECTS = {
    "dora, half saved": ("trained_values_saved", "NotSaved"),
    "lora, written into": ("frozen_stays", "FrozenWritten"),
    "merged between, written into": ("frozen_stays", "FrozenWritten"),
    "merged between, layer written into": ("frozen_stays", "FrozenWritten"),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    return with_each_defect("adapted.py", tmp_path_factory.mktemp("adapted"), [*HEALTHY, MERGED, *DEFECTS])


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_adapters_are_silent(ran: dict[str, Ran], name: str) -> None:
    results = ran[name].results()

    assert not [one for one in results.values() if one.status.value not in ("passed", "not_applicable")]
    assert sum(one.status.value == "passed" for one in results.values()) >= 10


def test_weights_that_an_adapter_was_merged_into_are_told_to_be_rounded_and_no_more(ran: dict[str, Ran]) -> None:
    results = ran[MERGED].results()
    (finding,) = results["frozen_stays"].findings

    assert {one.status.value for one in results.values()} == {"passed", "not_applicable", "warned"}
    assert "merged into them and taken out again" in finding.cause


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(ran: dict[str, Ran], name: str) -> None:
    check, kind = DEFECTS[name]
    result = ran[name].results()[check]

    assert (result.status.value, kind in {finding.kind for finding in result.findings}) == ("failed", True)
