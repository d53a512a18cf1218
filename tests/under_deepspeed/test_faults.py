"""Every fault that is for DeepSpeed is caught by the check that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.faults import FAULTS
from harness.recipe import Recipe
from harness.result import Status
from harness.running.fault_table import cases_of, fault_row
from harness.running.session import Sockets

OURS = [fault for fault in FAULTS.values() if "deepspeed" in fault.engines]


@pytest.mark.parametrize("fault", OURS, ids=lambda fault: fault.name)
def test_fault_is_caught(fault, recipes: dict[str, Recipe], warm: Sockets, bases: Path, tmp_path: Path) -> None:
    cases = cases_of(fault, recipes)
    assert cases, f"no recipe lets {fault.name} apply"

    row = fault_row(fault, cases[0], recipes[cases[0]], warm, tmp_path, bases)

    assert row.caught, [result.to_json() for result in row.results if result.status is not Status.PASSED]
