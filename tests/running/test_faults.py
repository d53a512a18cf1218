"""Every injected fault is caught by the check it names, and every check has a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checks import CHECKS
from harness.fault_table import cases_of, fault_row
from harness.faults import FAULTS
from harness.result import Status


def test_every_check_has_a_fault() -> None:
    assert {check.name for check in CHECKS} == {fault.caught_by for fault in FAULTS.values()}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_fault_is_caught(fault, shipped, warm, bases, tmp_path: Path) -> None:
    names = cases_of(fault, shipped)
    assert names, f"no shipped recipe lets {fault.name} apply"

    for name in names:
        row = fault_row(fault, name, shipped[name], warm, tmp_path / shipped[name].family, bases)

        assert row.caught, [result.to_json() for result in row.results if result.status is not Status.PASSED]


def test_the_same_recipe_without_a_fault_is_silent(shipped, warm, bases, tmp_path: Path) -> None:
    from harness.session import Session

    name = "llava/lora-qv[fp32]"
    results = Session(warm, tmp_path, bases=bases).results(name, shipped[name], [check.name for check in CHECKS])

    assert {result.status for result in results.values()} == {Status.PASSED, Status.NOT_APPLICABLE}
