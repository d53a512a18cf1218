"""The table of checks: what is in it, in which order, and what is refused."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from harness.checks import CHECKS, check, registry
from harness.checks.needs import Probe, Steps
from harness.intent import Intent
from harness.refusal import Refused
from harness.result import Finding

Evidence = Any
ERROR = Finding("a", "b", "c")


@pytest.fixture
def temporary(forgotten: Callable[[str], None]) -> str:
    forgotten("temporary")

    @check("it holds", source="nowhere", needs=[Probe(probe="p"), Steps(1)])
    def temporary(intent: Intent, trace: object) -> Iterator[Finding]:
        yield ERROR

    return "temporary"


def test_a_check_can_be_added_and_taken_out_again(evidence: Evidence, temporary: str) -> None:
    added = CHECKS[temporary]

    assert (added.title, added.source, added.probes, added.reload, added.partners) == (
        "it holds",
        "nowhere",
        ("p",),
        False,
        (),
    )
    assert added in tuple(CHECKS)
    assert CHECKS.named(["run.completed", temporary])[1] is added
    CHECKS.forget(temporary)
    assert temporary not in [one.name for one in CHECKS]
    with pytest.raises(Refused, match="unknown check 'temporary'; harness list checks"):
        CHECKS[temporary]


@pytest.mark.parametrize(("kind", "last"), [("checks", "saved"), ("faults", "mechanisms")])
def test_the_order_does_not_depend_on_what_was_imported_first(kind: str, last: str) -> None:
    names = f"[one.name for one in {{'checks': list, 'faults': lambda all: all.values()}}['{kind}']({kind.upper()})]"
    shown = f"from harness.{kind} import {kind.upper()}; print({names})"
    usual, odd = (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        for code in (shown, f"import harness.{kind}.{last}; {shown}")
    )

    assert odd == usual


def test_checks_of_other_people_come_in_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    point = SimpleNamespace(load=lambda: loaded.append("theirs"))
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "harness.checks" else [])

    registry._load_shipped.__wrapped__()

    assert loaded == ["theirs"]


def test_two_checks_of_one_name_are_refused() -> None:
    def impostor(intent: Intent, trace: object) -> Iterator[Finding]:
        yield from ()

    shipped = CHECKS["run.completed"]
    with pytest.raises(Refused, match=r"two checks are named 'run\.completed'; rename"):
        check("it came to its end", name="run.completed")(impostor)
    assert CHECKS["run.completed"] is shipped


def test_every_shipped_check_says_what_holds_and_where_it_comes_from() -> None:
    assert all(one.title and one.source for one in CHECKS)
    assert len({one.title for one in CHECKS}) == len(list(CHECKS))
