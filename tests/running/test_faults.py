"""Every injected fault is caught by the check it names, and every check has a fault."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from harness.checks import CHECKS
from harness.faults import FAULTS
from harness.result import Status
from harness.running.fault_table import COMPLETION, cases_of, fault_row, spread, system_of

ROWS = yaml.safe_load(Path(__file__).with_name("threads.yaml").read_text(encoding="utf-8"))
# The real cause of a reported failure, which the finding must name in each run with the fault.
REPORTED = {
    name: {row["cause"] for row in ROWS if row["fault"] == name and "cause" in row}
    for name in {row["fault"] for row in ROWS}
}
OF_A_DEVICE = {"forwards_take_longer"}  # what a device was measured at is in no shipped suite: test_measured_here
IN_THE_GATE = [  # DeepSpeed's are tried beside it
    fault for fault in FAULTS.values() if "deepspeed" not in fault.engines and fault.name not in OF_A_DEVICE
]
EACH, FEWEST = 1, 4


OF_WORDS = {"intent_patterns_meet"}
"""What these hold is what somebody wrote into an intent file; a fault alters a run, never an intent."""


def test_every_check_has_a_fault() -> None:
    assert {check.name for check in CHECKS} - OF_WORDS == {fault.caught_by for fault in FAULTS.values()}


@pytest.fixture(scope="module")
def cases(shipped) -> dict[str, list[str]]:
    """The recipes that each fault is tried on here; `nox -s faults` tries it on one of every system."""
    all_faults = ((fault.name, fault) for fault in FAULTS.values())
    return spread({name: cases_of(fault, shipped) for name, fault in all_faults}, shipped, EACH)


def test_every_system_is_tried_with_many_faults(cases, shipped) -> None:
    tried = Counter(system_of(shipped[name]) for names in cases.values() for name in names)
    assert tried.keys() == {system_of(recipe) for recipe in shipped.values()}
    assert min(tried.values()) >= FEWEST, tried


@pytest.mark.parametrize("fault", IN_THE_GATE, ids=lambda fault: fault.name)
def test_fault_is_caught(fault, cases, shipped, warm, bases, tmp_path: Path) -> None:
    """By its check alone, as `-k` runs it: all that the check looks at is made because it says that it needs it."""
    assert cases[fault.name], f"no shipped recipe lets {fault.name} apply"

    for name in cases[fault.name]:
        row = fault_row(
            fault, name, shipped[name], warm, tmp_path / shipped[name].family, bases, [COMPLETION, fault.caught_by]
        )

        assert row.caught, [result.to_json() for result in row.results if result.status is not Status.PASSED]
        said = [f.cause for one in row.results if one.check == fault.caught_by for f in one.findings]
        for cause in REPORTED.get(fault.name, ()):
            assert any(cause in likely for likely in said), (name, said)


def test_the_same_recipe_without_a_fault_is_silent(shipped, warm, bases, tmp_path: Path) -> None:
    from harness.running.session import Session

    name = "llava/lora-qv[fp32]"
    results = Session(warm, tmp_path, bases=bases).results(name, shipped[name], [check.name for check in CHECKS])

    assert {result.status for result in results.values()} == {Status.PASSED, Status.NOT_APPLICABLE}
