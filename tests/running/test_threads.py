"""Failures that people have reported of real systems: each is found here, by a check that says why, or refused."""

from __future__ import annotations

import ast
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.checks import CHECKS
from harness.faults import FAULTS
from harness.recipe import Recipe
from harness.result import Status
from harness.running.fault_table import cases_of
from harness.running.session import Session
from harness.seams import Seam
from tests.conftest import ROOT

ROWS: list[dict[str, str]] = yaml.safe_load(Path(__file__).with_name("threads.yaml").read_text(encoding="utf-8"))
WORDING = json.loads((ROOT / "tests" / "judging" / "wording.json").read_text(encoding="utf-8"))
KINDS = {"saving", "trainability", "data", "precision", "loading", "steps"}
FAMILIES = {
    "Mini-Gemini": "mini-gemini-",
    "LLaVA": "llava-",
    "MiniCPM-V": "minicpm-",
    "MiniMind": "minimind-v",
    "MiniMind-V": "minimind-3v",
    "OmniLMM": "omnilmm-",
}
FEWEST, OF_EACH, RUN = 40, 3, 2
REFUSED = "refused"

INJECTED = {fault.name for fault in FAULTS.values()}
by_fault = [row for row in ROWS if row["fault"] in INJECTED]
explained = [row for row in by_fault if "cause" in row]
refused = [row for row in ROWS if row["caught_by"] == REFUSED]
without_injection = [row for row in ROWS if row not in by_fault and row not in refused]


def name(row: dict[str, str]) -> str:
    return f"{row['thread']}: {row['fault']}"


def some() -> list[dict[str, str]]:
    """Two rows of each kind, each of a check that no other of them is of."""
    first: dict[str, dict[str, str]] = {}
    for row in explained:
        first.setdefault(row["caught_by"], row)
    return [row for kind in sorted(KINDS) for row in [one for one in first.values() if one.get("kind") == kind][:RUN]]


@cache
def source_of(test: str) -> str:
    """The source of a test and of what it is parametrised with; empty where there is no such test."""
    path, _, function = test.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == function.partition("[")[0]:
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return ""


def test_there_are_many_of_each_kind_and_of_each_system() -> None:
    systems = Counter(row["system"] for row in ROWS)
    kinds = Counter(row["kind"] for row in ROWS if "kind" in row)

    assert len(ROWS) >= FEWEST
    assert min(systems[system] for system in FAMILIES if system != "OmniLMM") >= OF_EACH, systems
    assert set(kinds) == KINDS
    assert min(kinds.values()) >= OF_EACH, kinds


def test_no_row_is_there_twice() -> None:
    keys = Counter((row["thread"], row["caught_by"], row["fault"]) for row in ROWS)

    assert [key for key, number in keys.items() if number > 1] == []


@pytest.mark.parametrize("row", by_fault, ids=name)
def test_a_fault_is_caught_by_the_check_that_the_row_names(row: dict[str, str]) -> None:
    fault = FAULTS[row["fault"]]

    assert row["caught_by"] in {check.name for check in CHECKS}
    assert fault.caught_by == row["caught_by"]
    assert source_of(row["test"])
    if row["test"].startswith("tests/running/test_faults.py"):
        assert row["test"].endswith(f"::test_fault_is_caught[{fault.name}]")


@pytest.mark.parametrize("row", without_injection, ids=name)
def test_what_no_fault_is_injected_for_is_caught_in_the_test_that_the_row_names(
    row: dict[str, str],
) -> None:
    assert row["caught_by"] in {check.name for check in CHECKS}
    assert row["caught_by"] in source_of(row["test"])


@pytest.mark.parametrize("row", explained, ids=name)
def test_what_the_check_calls_the_likely_cause_is_the_real_one(row: dict[str, str]) -> None:
    fault = FAULTS[row["fault"]]
    findings = [finding for said in WORDING[row["caught_by"]].values() for finding in said]
    causes = {finding.get("cause", "") for finding in findings if finding["kind"] == fault.finding}

    assert any(row["cause"] in cause for cause in causes), causes


@pytest.mark.parametrize("row", refused, ids=name)
def test_what_is_refused_is_refused_in_the_test_that_the_row_names(row: dict[str, str]) -> None:
    source = source_of(row["test"])

    assert "refus" in source.lower()
    assert row.get("cause", "") in source.replace("\\", "")


def case_of(row: dict[str, str], shipped: dict[str, Recipe]) -> str:
    """A recipe that the row's fault applies to: of the row's own system, if there is one."""
    fault, family = FAULTS[row["fault"]], FAMILIES[row["system"]]
    cases = cases_of(fault, shipped)
    return next((case for case in cases if shipped[case].family.startswith(family)), cases[0])


@pytest.mark.parametrize("row", some(), ids=name)
def test_a_run_with_the_fault_says_so(
    row: dict[str, str], shipped: dict[str, Recipe], warm: Any, bases: Path, tmp_path: Path
) -> None:
    fault, case = FAULTS[row["fault"]], case_of(row, shipped)
    place = tmp_path / "bases" if fault.seam is Seam.BASE_WRITTEN else bases
    session = Session(warm, tmp_path, faults=(fault.name,), bases=place)
    result = session.results(case, shipped[case].model_copy(update=dict(fault.changes)), [fault.caught_by])

    found = [finding for finding in result[fault.caught_by].findings if finding.kind == fault.finding]
    assert result[fault.caught_by].status is Status.FAILED
    assert any(row["cause"] in finding.cause for finding in found), found
