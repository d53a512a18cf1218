"""`harness faults`: a fault that its check catches is a success, one that it misses is not."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest

SUITE = "family: llava-1.5-7b\nrecipes:\n  connector: {tune: [connector], steps: 2, save: {what: nothing}}\n"
NUDGE = "nudge_one_frozen_element"


@pytest.fixture
def inject(call, warm, tmp_path, monkeypatch):
    """Run `harness faults` with only the given faults, in the tests' warm parents."""
    monkeypatch.setattr(
        "harness.running.session.WarmParents",
        lambda families, engines=(): SimpleNamespace(sockets=warm, stop=lambda: None),
    )
    (tmp_path / "suite.yaml").write_text(SUITE)

    def run(*faults, options=()):
        monkeypatch.setattr("harness.running.fault_table.FAULTS", dict(enumerate(faults)))
        return call("faults", tmp_path / "suite.yaml", "--out", tmp_path / "out", *options)

    return run


def fault(name: str):
    from harness.faults import FAULTS

    return FAULTS[name]


def test_a_fault_that_is_caught_ends_with_0_and_says_what_caught_it(inject) -> None:
    ran = inject(fault(NUDGE), options=["--json"])

    (row,) = json.loads(ran.out)
    assert (ran.status, ran.err) == (0, "")
    assert row["caught"] is True
    assert row["recipe"] == "suite/connector"
    assert row["must_be_caught_by"] in row["failed"]
    assert row["size"]
    assert row["finding"]


def test_a_fault_that_is_missed_ends_with_1(inject) -> None:
    good = fault(NUDGE)

    ran = inject(good, dataclasses.replace(good, caught_by="losses_finite"))

    lines = ran.out.splitlines()
    assert ran.status == 1
    assert lines[0].split()[:2] == ["caught", good.name]
    assert lines[1].split()[:2] == ["MISSED", good.name]
    assert lines[1].endswith(f"losses_finite  (also {good.caught_by})")
    assert lines[-1] == "2 faults: 1 caught, 1 missed"


def test_no_fault_that_applies_is_no_success(inject) -> None:
    never = dataclasses.replace(fault(NUDGE), applies=lambda recipe: False)

    ran = inject(never)

    assert ran.status == 1
    assert ran.out.splitlines()[-1] == "0 faults: 0 caught, 0 missed"
