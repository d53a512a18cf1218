"""compat.json: what it holds comes back, what is none is refused in one line, and it is whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.compat_table import Cell, CompatTable, Gap, Outcome, Stack
from harness.refusal import Refused
from harness.result import Status

OLD = Stack(name="4.57", asked={"transformers": "4.57.6"}, versions={"transformers": "4.57.6", "torch": "2.13.0"})
NEW = Stack(name="5.23", asked={})
LOST = Cell(
    recipe="llava/full",
    saved_under="5.23",
    loaded_under="4.57",
    outcome=Outcome.KEYS_LOST,
    status=Status.FAILED,
    missing=("vision_tower.vision_model.post_layernorm.bias",),
    largest=Gap(field="outputs", where="image 0", first="0.1", second="0.3", absolute=0.2, relative=0.66),
    differing=("loaded weights", "outputs"),
)


def loads(saved: str, loaded: str, **more: Any) -> Cell:
    return Cell(
        recipe="llava/full", saved_under=saved, loaded_under=loaded, outcome=Outcome.LOADS, status=Status.PASSED, **more
    )


def table(*cells: Cell) -> CompatTable:
    return CompatTable(stacks=(OLD, NEW), recipes=("llava/full",), cells=cells)


FULL = table(loads("4.57", "4.57"), loads("4.57", "5.23"), LOST, loads("5.23", "5.23"))


def test_it_comes_back(tmp_path: Path) -> None:
    FULL.write(tmp_path / "compat.json")

    assert CompatTable.read(tmp_path / "compat.json") == FULL
    assert [path.name for path in tmp_path.iterdir()] == ["compat.json"]


def test_rows_are_stacks_that_save_and_columns_those_that_load() -> None:
    (first, from_old), (second, from_new) = FULL.rows("llava/full")

    assert (first, second) == (OLD, NEW)
    assert [cell and cell.outcome for cell in from_old] == [Outcome.LOADS, Outcome.LOADS]
    assert [cell and cell.outcome for cell in from_new] == [Outcome.KEYS_LOST, Outcome.LOADS]


def test_what_was_not_tried_is_no_cell() -> None:
    assert table(LOST).cell("llava/full", "4.57", "5.23") is None


def test_counts_and_what_fails() -> None:
    assert FULL.counts == {Outcome.KEYS_LOST: 1, Outcome.LOADS: 3}
    assert list(FULL.counts) == [Outcome.KEYS_LOST, Outcome.LOADS]
    assert FULL.bad == (LOST,)


@pytest.mark.parametrize(
    ("status", "bad"),
    [(Status.KNOWN_FAILURE, False), (Status.FIXED, True), (Status.NOT_APPLICABLE, False), (Status.BLOCKED, True)],
)
def test_what_is_bad(status: Status, bad: bool) -> None:
    assert LOST.model_copy(update={"status": status}).bad is bad


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_has_words_and_a_symbol_of_its_own(outcome: Outcome) -> None:
    assert outcome.words == outcome.value.replace("_", " ")
    assert len(outcome.symbol) == 1
    assert [other.symbol for other in Outcome].count(outcome.symbol) == 1


def altered(**changes: Any) -> str:
    return json.dumps({**json.loads(FULL.model_dump_json()), **changes})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", r"is no compat\.json", id="no JSON"),
        pytest.param(altered(format=9), "has format 9, not 1", id="another format"),
        pytest.param(altered(surplus=1), "surplus: Extra inputs are not permitted", id="unknown entry"),
        pytest.param(altered(recipes=["x"]), "is of no recipe or stack of the table", id="a cell of no recipe"),
        pytest.param(
            altered(cells=[json.loads(LOST.model_dump_json())] * 2), "two cells have the same place", id="twice"
        ),
    ],
)
def test_what_is_none_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "compat.json"
    file.write_text(text)

    with pytest.raises(Refused, match=said) as refused:
        CompatTable.read(file)
    assert str(refused.value).startswith(str(file))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No such file or directory; write it with harness compat"):
        CompatTable.read(tmp_path / "compat.json")
