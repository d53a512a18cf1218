"""Each check is silent on a faultless run, and says the right word on the smallest fault it is there for."""

import importlib
import inspect
import pkgutil
from typing import Any

import pytest

import harness.checks
from harness.checks import CHECKS
from harness.result import Finding, Status
from tests.judging.specimens import SETTINGS, SILENT, SPECIMENS, WARNINGS, Alteration

Evidence = Any
SHIPPED = [check.name for check in CHECKS]


def flat(table: dict[str, list[tuple[Any, ...]]]) -> list[Any]:
    """One parameter per row of a table."""
    return [
        pytest.param(check, *row, id=f"{check}-{'-'.join(part for part in row if isinstance(part, str))}")
        for check, rows in table.items()
        for row in rows
    ]


def kinds_of_findings() -> set[str]:
    modules = [
        importlib.import_module(f"harness.checks.{found.name}")
        for found in pkgutil.iter_modules(harness.checks.__path__)
    ]
    return {
        name
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Finding) and kind.__module__ == module.__name__
    }


@pytest.mark.parametrize("check", SHIPPED)
def test_a_faultless_run_passes(evidence: Evidence, check: str) -> None:
    SETTINGS.get(check, lambda _: None)(evidence)
    result = evidence.judged(check)

    assert (result.status, result.reason, result.findings) == (Status.PASSED, "", ())


@pytest.mark.parametrize(("check", "kind", "what", "alter"), flat(SPECIMENS))
def test_a_fault_is_found(evidence: Evidence, check: str, kind: str, what: str, alter: Alteration) -> None:
    alter(evidence)
    result = evidence.judged(check)

    assert result.status is (Status.WARNED if kind in WARNINGS else Status.FAILED), what
    assert {finding.kind for finding in result.findings} == {kind}
    assert all(finding.expected and finding.seen and finding.where for finding in result.findings)
    assert all(isinstance(word, str) for one in result.findings for word in (one.cause, one.do))


@pytest.mark.parametrize(("check", "what", "alter"), flat(SILENT))
def test_what_is_no_fault_is_not_found(evidence: Evidence, check: str, what: str, alter: Alteration) -> None:
    alter(evidence)
    result = evidence.judged(check)

    assert (result.status, result.findings) == (Status.PASSED, ()), what


def test_every_check_has_specimens_of_both_kinds() -> None:
    assert set(SPECIMENS) == set(SILENT) == set(SHIPPED)


def test_every_kind_of_finding_has_a_specimen() -> None:
    found = kinds_of_findings()

    assert found == {kind for rows in SPECIMENS.values() for kind, _, _ in rows}
    assert len(found) > 20
