"""The table of checks: what is in it, in which order, and what is refused."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
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


OWN = """
from harness.checks import check
from harness.result import Finding


@check("it is ours")
def of_{name}(intent, trace):
    yield from ()


def no_check(intent, trace):
    yield from ()
"""


@pytest.fixture
def suites_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: Callable[[str], None]) -> Iterator[str]:
    """A module that can be imported, with a check that only a suite names."""
    name = f"named_by_a_suite_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    forgotten(f"of_{name}")
    yield name
    sys.modules.pop(name, None)


def test_a_check_that_a_suite_names_is_found_by_name_and_is_not_everybodys(suites_module: str) -> None:
    shipped = [one.name for one in CHECKS]

    own = registry.own_check(f"{suites_module}:of_{suites_module}")

    assert (own.name, own.title, own.source, own.needs) == (f"of_{suites_module}", "it is ours", "", ())
    assert CHECKS[own.name] is own
    assert [one.name for one in CHECKS] == shipped
    assert registry.own_check(f"{suites_module}:of_{suites_module}") is own, "named by a second suite"


def test_the_modules_check_stays_a_suites_own_though_it_was_not_the_one_that_was_named(suites_module: str) -> None:
    with pytest.raises(Refused) as refused:
        registry.own_check(f"{suites_module}:no_check")

    said = f"check '{suites_module}:no_check' is no check; put @check above the function"
    assert str(refused.value) == said
    assert f"of_{suites_module}" not in [one.name for one in CHECKS]


def test_what_cannot_be_imported_is_refused_as_a_check() -> None:
    with pytest.raises(Refused, match=r"^check 'no_such_module:x' cannot be imported"):
        registry.own_check("no_such_module:x")


def test_the_table_is_in_the_order_of_the_modules_and_others_come_last(
    temporary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", dict(reversed(registry._registered.items())))

    modules = [one.judge.__module__ for one in CHECKS]

    shipped = [f"harness.checks.{module}" for module in registry.MODULES]
    assert list(dict.fromkeys(modules)) == [*shipped, __name__]


def test_a_module_of_somebody_else_is_not_taken_for_a_shipped_one_of_its_name(
    temporary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("theirs.completion", "completion", "harness.checks.not_shipped"):
        monkeypatch.setattr(CHECKS[temporary].judge, "__module__", module)

        assert [one.name for one in CHECKS][-1] == temporary


def test_a_name_that_is_nearly_one_is_answered_with_it() -> None:
    with pytest.raises(Refused, match=r"did you mean run\.completed\?"):
        CHECKS["run.complete"]


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
