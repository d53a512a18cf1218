"""`harness history`, over runs that were really made and over runs that were made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.history import FILE
from harness.history.past import Numbers
from harness.history.store import History
from tests.cli.conftest import Ran
from tests.history.conftest import past_recipe, past_run

SUITE = """
family: llava-1.5-7b
defaults: {size: tiny, steps: 1, optimizer: {learning_rate: %s}}
recipes:
  projector: {tune: [connector]}
"""
KEEP = {"FINETUNE_HARNESS_HISTORY": str(FILE)}


@pytest.fixture(scope="module")
def place(train: Callable[..., Ran], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a suite was run three times, the last time at another rate."""
    folder = tmp_path_factory.mktemp("history")
    for rate in ("1.0e-3", "1.0e-3", "2.0e-3"):
        (folder / "small.yaml").write_text(SUITE % rate)
        ran = train("run", "small.yaml", folder=folder, **KEEP)
        assert ran.status == 0, ran
        assert "history" not in ran.err
    return folder


def test_runs_are_kept_without_being_asked_for_and_out_of_version_control(place: Path) -> None:
    assert (place / FILE).exists()
    assert (place / FILE.parent / ".gitignore").read_text() == "*\n"


def test_what_moved_is_told_with_why(call: Callable[..., Ran], place: Path) -> None:
    ran = call("history", "--history", place / FILE)
    assert ran.status == 0
    assert "runs, the last 3 of 3" in ran.out
    assert "same losses, other weights    with the recipe's settings" in ran.out
    assert "1 recipe: 1 moved, 0 slower" in ran.out


def test_the_same_recipe_has_the_same_numbers(call: Callable[..., Ran], place: Path) -> None:
    record = json.loads(call("history", "--history", place / FILE, "--json").out)
    first, second, third = record["recipes"]["small/projector"]["runs"]
    assert (first["losses"], first["weights"], second["moved"]) == (second["losses"], second["weights"], None)
    assert len(first["losses"]) == 1
    assert third["moved"] is not None
    assert record["runs"][0]["environment"]["torch"]


def test_nothing_is_kept_where_nobody_wants_it(train: Callable[..., Ran], place: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SUITE % "1.0e-3")
    asked = train("run", "small.yaml", "-k", "completed", "--history", "off", folder=tmp_path, **KEEP)
    assert asked.status == 0, asked
    assert not (tmp_path / FILE.parent).exists()


def test_a_damaged_file_is_named_and_the_run_is_kept(train: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SUITE % "1.0e-3")
    (tmp_path / "past.sqlite").write_bytes(b"damaged")
    ran = train("run", "small.yaml", "-k", "completed", "--history", "past.sqlite", folder=tmp_path)
    assert ran.status == 0, ran
    (aside,) = tmp_path.glob("past.damaged-*.sqlite")
    assert aside.read_bytes() == b"damaged"
    assert f"past.sqlite could not be read and lies now at {aside.name} (it is damaged)" in ran.err
    with History(tmp_path / "past.sqlite") as kept:
        assert kept.count() == 1


def test_a_file_that_cannot_be_used_costs_no_run(train: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SUITE % "1.0e-3")
    (tmp_path / "notes.md").write_text("mine")
    ran = train("run", "small.yaml", "-k", "completed", "--history", "notes.md", folder=tmp_path)
    assert ran.status == 0, ran
    assert "this run is not in the history: notes.md: is no SQLite file" in ran.err
    assert (tmp_path / "notes.md").read_text() == "mine"


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """Five runs of two recipes, of which one became slow, drifted from its golden and moved in the last."""
    file = tmp_path / "past.sqlite"
    calm = past_recipe("s/calm", loud=(), statuses={"passed": 4})
    with History(file) as kept:
        for number in range(5):
            last = number == 4
            numbers = Numbers("settings", "weights", (2.5, 1.5 if last else 1.25))
            moving = past_recipe("s/moving[bf16]", seconds=4.0 if last else 1.0, numbers=numbers)
            kept.add(past_run(number, recipes=(calm, replace(moving, loud=moving.loud if last else ()))), "1.0")
    return file


def test_the_slow_and_the_moved_are_listed_and_counted(call: Callable[..., Ran], made_up: Path) -> None:
    said = call("history", "--history", made_up).out
    assert "s/moving[bf16]  loss of micro-batch 2 moved by 2.5e-01    with nothing else changed" in said
    assert "4.0 s after a median of 1.0 s" in said
    assert said.endswith("2 recipes: 1 moved, 1 slower\n")
    assert "s/calm" not in said


def test_one_recipe_is_told_run_by_run(call: Callable[..., Ran], made_up: Path) -> None:
    lines = call("history", "s/moving[bf16]", "--history", made_up).out.splitlines()
    assert lines[0].startswith("s/moving[bf16]    ▃▃▃▃█")
    assert len(lines) == 6
    assert "golden.loss failed" in lines[-1]
    assert all("golden" not in line for line in lines[:-1])


def test_several_are_listed_by_pattern(call: Callable[..., Ran], made_up: Path) -> None:
    said = call("history", "s/*", "--history", made_up, "--last", 4).out
    assert "runs, the last 4 of 5" in said
    assert "the same in 4 runs" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--history", "none.sqlite"), "none.sqlite: there is no history yet; harness run keeps one, or name its file"),
        (("absent", "--history", "past.sqlite"), "past.sqlite: no recipe like 'absent' in the last 5 runs"),
    ],
)
def test_bad_input_is_one_line(
    call: Callable[..., Ran], made_up: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, said: str
) -> None:
    monkeypatch.chdir(made_up.parent)
    assert said in call("history", *arguments).refusal
