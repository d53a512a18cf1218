"""The table as people see it: symbols and words, each failure once, the counts."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from harness.compat.known import CHECKS, marked, place_of
from harness.compat.told import cell_text, closing_line, command, failure_lines, stack_rows, table_rows
from harness.compat_table import Cell, CompatTable, Gap, Outcome, Stack
from harness.result import Status
from harness.verdict import KnownFailure

TODAY = datetime.date(2026, 1, 1)
LOGITS = Gap(field="logits", where="image", first="1 at element 3", second="2 at element 3", absolute=1.0, relative=0.5)


def cell(outcome: Outcome = Outcome.KEYS_LOST, saved: str = "new", loaded: str = "old", **more: Any) -> Cell:
    status = Status.PASSED if outcome is Outcome.LOADS else Status.FAILED
    status = Status.NOT_APPLICABLE if outcome is Outcome.NOT_APPLICABLE else status
    place = {"recipe": "s/full", "saved_under": saved, "loaded_under": loaded}
    return Cell(**{**place, "outcome": outcome, "status": status, **more})


def table(*cells: Cell, **more: Any) -> CompatTable:
    old = Stack(name="old", asked={"transformers": "4.57.6"}, versions={"torch": "2.13.0", "transformers": "4.57.6"})
    return CompatTable(stacks=(old, Stack(name="new", asked={})), recipes=("s/full",), cells=cells, **more)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (None, "  not tried"),
        (cell(Outcome.LOADS), "= loads"),
        (cell(Outcome.LOADS, status=Status.FIXED), "= loads, fixed"),
        (cell(missing=("a", "b"), unexpected=("c",)), "K 2 keys lost"),
        (cell(missing=("a",), mismatched=("a",)), "K 1 key lost"),
        (cell(unexpected=("a", "b")), "K 2 unknown keys lost"),
        (cell(status=Status.KNOWN_FAILURE), "K some keys lost, known"),
        (cell(Outcome.OUTPUTS_DIFFER, largest=LOGITS), "D logits differ by 1"),
        (cell(Outcome.OUTPUTS_DIFFER, largest=Gap(field="tokens", where="", first="", second="")), "D tokens differ"),
        (
            cell(Outcome.OUTPUTS_DIFFER, largest=Gap(field="chat template", where="", first="", second="")),
            "D chat template differs",
        ),
        (cell(Outcome.ERROR, error="model: E"), "E error"),
        (cell(Outcome.ERROR, error="tokenizer: E", missing=("a",)), "E error, 1 key lost"),
        (cell(Outcome.NOT_APPLICABLE), "- not applicable"),
    ],
)
def test_a_cell(one: Cell | None, text: str) -> None:
    assert cell_text(one) == text


def test_rows_and_columns() -> None:
    rows = table_rows(table(cell(Outcome.LOADS, "old", "old"), cell(missing=("a",))), "s/full")

    assert rows == [
        ["s/full: saved under", "loaded under old", "loaded under new"],
        ["old", "= loads", "  not tried"],
        ["new", "K 1 key lost", "  not tried"],
    ]
    assert stack_rows(table())[1] == ["old", "transformers 4.57.6", "torch 2.13.0"]


def test_a_failure_with_all_that_is_known() -> None:
    keys = tuple(f"key.{number}" for number in range(6))
    lost = cell(missing=keys, unexpected=("other",), largest=LOGITS, differing=("weights", "logits"))

    assert list(failure_lines(table(lost), "harness compat s.yaml")) == [
        "",
        "FAILED  s/full saved under new, loaded under old",
        "  outcome    keys lost",
        "  missing    6: key.0, key.1, key.2, key.3 and 2 more",
        "  unexpected 1: other",
        "  differs    logits at image: 1 at element 3 and 2 at element 3, off by 1",
        "  in all     weights, logits",
        "  again      harness compat s.yaml --stack new --stack old",
    ]


def test_what_fails_in_the_same_way_is_told_once() -> None:
    cells = (cell(Outcome.ERROR, loaded="old", error="model: E"), cell(Outcome.ERROR, loaded="new", error="model: E"))
    lines = list(failure_lines(table(*cells), "again"))

    assert lines[1:4] == [
        "FAILED  s/full saved under new, loaded under old, new",
        "  outcome    error",
        "  error      model: E",
    ]
    assert [line for line in lines if line.startswith("FAILED")] == lines[1:2]


def test_what_is_well_is_not_told_and_what_does_not_apply_is() -> None:
    lines = list(
        failure_lines(table(cell(Outcome.LOADS), cell(Outcome.NOT_APPLICABLE, loaded="new", reason="why")), "")
    )

    assert lines == ["", "n/a  s/full saved under new, loaded under new", "  because    why"]


def test_the_counts() -> None:
    cells = (cell(status=Status.KNOWN_FAILURE), cell(Outcome.LOADS, "old", "old"), cell(Outcome.LOADS, "new", "new"))
    cells = (*cells, cell(Outcome.LOADS, "old", "new", status=Status.FIXED))

    assert closing_line(table(*cells, seconds=61.4)) == (
        "1 recipe x 2 stacks: 1 keys lost, 3 loads, 1 of these known, 1 fixed, though listed as known    61 s"
    )


@pytest.mark.parametrize(
    ("suites", "stacks", "out", "said"),
    [
        ("s/a.yaml", "s/stacks.yaml", "harness-out", "harness compat s/a.yaml --recipe 'full[bf16]'"),
        ("s", "s/stacks.yaml", "o", "harness compat s --recipe 'full[bf16]' --out o"),
        ("s", "t/stacks.yaml", "harness-out", "harness compat s --stacks t/stacks.yaml --recipe 'full[bf16]'"),
    ],
)
def test_the_command_that_tries_again(
    suites: str, stacks: str, out: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s").mkdir()

    assert command([Path(suites)], Path(stacks), "full[bf16]", Path(out)) == said


def known(check: str, recipe: str = "s/* saved under new, loaded under *", expires: str = "2027-01-01") -> KnownFailure:
    return KnownFailure(
        check=check,
        recipe=recipe,
        reason="it was renamed",
        link="https://x/1",
        expires=datetime.date.fromisoformat(expires),
    )


@pytest.mark.parametrize("outcome", list(CHECKS))
@pytest.mark.parametrize("listed", list(CHECKS))
def test_a_known_failure_excuses_just_that(outcome: Outcome, listed: Outcome) -> None:
    found = marked(cell(outcome, error="e" if outcome is Outcome.ERROR else ""), [known(CHECKS[listed])], TODAY)

    if outcome is listed:
        assert (found.status, found.reason) == (Status.KNOWN_FAILURE, "it was renamed (https://x/1)")
    else:
        assert found.status is Status.FAILED
        assert found.reason == ""
    assert found.outcome is outcome


def test_a_known_failure_that_passed_is_fixed_and_an_expired_one_fails() -> None:
    fixed = marked(cell(Outcome.LOADS), [known("compat.keys")], TODAY)
    expired = marked(cell(), [known("compat.keys", expires="2025-01-01")], TODAY)
    elsewhere = marked(cell(), [known("compat.keys", "s/full saved under old, loaded under *")], TODAY)

    assert (fixed.status, expired.status, elsewhere.status) == (Status.FIXED, Status.FAILED, Status.FAILED)
    assert "it passed: https://x/1" in fixed.reason
    assert expired.reason.startswith("the known failure expired on 2025-01-01")
    assert marked(cell(Outcome.NOT_APPLICABLE), [known("compat.keys")], TODAY).status is Status.NOT_APPLICABLE


def test_the_place_of_a_cell_reads_as_people_write_it() -> None:
    assert place_of(cell()) == "s/full saved under new, loaded under old"
