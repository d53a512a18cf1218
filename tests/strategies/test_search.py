"""A whole search: the same whatever the number of workers, and what it finds is shown, written and kept."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis.strategies import SearchStrategy  # noqa: TC002 - of a dataclass

from harness.recipe import Recipe, read_suite
from harness.refusal import Refused
from harness.running import fault_table
from harness.running.session import Sockets, check_buildable, suite_at
from harness.strategies import __main__ as command
from harness.strategies import as_suite
from harness.strategies import found as finding
from harness.strategies import search as searching
from harness.strategies.crew import Crew, WorkerLost
from harness.strategies.drawing import Drawing
from harness.strategies.properties import Drawn, Property
from harness.strategies.screen import Screen, summary
from harness.strategies.search import Asked, Done, search, so_many, until
from harness.strategies.searching import Batch, Found

LLAVA = Drawing(("llava-1.5-7b",))
SMALLEST = {"family": "llava-1.5-7b", "tune": ["connector"], "data": {"mix": ["image"]}, "steps": 2}
needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")


@dataclass
class NeverTf32:
    """A property that some recipes break, without any training."""

    name: str = "tf32 is off"

    def strategy(self, drawing: Drawing) -> SearchStrategy[Drawn]:
        return drawing.recipes().map(Drawn)

    def broken_by(self, drawn: Drawn) -> str:
        return "it is on" if drawn.recipe and drawn.recipe.tf32 else ""


@pytest.fixture
def without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are forked, and have what this process has."""

    def of(task: searching.Task, place: Path) -> Property:
        return NeverTf32()

    monkeypatch.setattr(searching, "property_of", of)


def searched(asked: Asked, out: Path, batches: int = 6) -> Done:
    seen: list[int] = []
    done = search(
        asked, out, so_many(batches * asked.examples, asked.examples), lambda which, batch: seen.append(batch.number)
    )
    assert seen == list(range(batches))
    return done


@needs_fork
def test_a_search_is_the_same_whatever_the_number_of_workers(without_training: None, tmp_path: Path) -> None:
    one, three = (searched(Asked(LLAVA, 5, workers, ("refused",), 4), tmp_path) for workers in (1, 3))
    another = searched(Asked(LLAVA, 6, 3, ("refused",), 4), tmp_path)
    assert one.batches == three.batches
    assert [batch.digest for _, batch in one.batches] != [batch.digest for _, batch in another.batches]
    assert len({batch.digest for _, batch in one.batches}) == len(one.batches)
    assert any(batch.found for _, batch in one.batches)


@needs_fork
def test_what_cannot_work_is_searched_without_training_anything(tmp_path: Path) -> None:
    done = searched(Asked(LLAVA, 0, 2, ("refused",)), tmp_path, batches=3)
    assert [batch.found for _, batch in done.batches] == [None, None, None]
    assert done.tried_of("refused") == done.tried == 30
    assert done.peak_mib > 10


@needs_fork
def test_what_a_worker_raises_is_raised_and_one_that_is_lost_is_told() -> None:
    def work(task: int) -> int:
        if task == 1:
            raise ZeroDivisionError("of task 1")
        if task == 2:
            os._exit(7)
        return task

    assert sorted(one.done for one in Crew(2, work).results(iter([0, 3, 4]))) == [0, 3, 4]
    with pytest.raises(ZeroDivisionError, match="of task 1"):
        list(Crew(2, work).results(iter([0, 1])))
    with pytest.raises(WorkerLost, match="a worker ended with status 7"):
        list(Crew(1, work).results(iter([2])))


def test_there_is_always_time_for_a_first_batch() -> None:
    assert [until(0)(number) for number in (0, 1)] == [True, False]
    assert [so_many(20)(number) for number in (0, 1, 2)] == [True, True, False]


def found(fault: str = "") -> Found:
    return Found("trains without a finding", Drawn(Recipe.model_validate(SMALLEST), fault), "it does not")


def test_what_is_found_is_shown_as_yaml_and_as_a_command(tmp_path: Path) -> None:
    ((name, one),) = finding.named([found(), found()]).items()
    shown = finding.told(name, one, Path("found.yaml"))
    assert shown[0] == "FAILED  trains without a finding: it does not"
    assert shown[-1] == f"again   harness run found.yaml --recipe {name}"
    assert list(yaml.safe_load("\n".join(shown[1:-1]))["recipes"]) == [name]


def test_of_a_fault_the_command_injects_it_again() -> None:
    ((name, one),) = finding.named([found("thaw_one_parameter")]).items()
    assert finding.told(name, one, Path("f.yaml"))[-1] == "again   harness faults f.yaml --fault thaw_one_parameter"
    assert name not in finding.named([found()])


def test_a_recipe_in_which_a_fault_was_missed_keeps_its_name(tmp_path: Path) -> None:
    """The gate runs the recipe as it is, and `harness faults` puts the fault into it."""
    named = finding.named([found("thaw_one_parameter"), found()])
    assert finding.write(named, tmp_path / "new.yaml")
    finding.keep(tmp_path / "new.yaml", tmp_path / "found.yaml")
    suite = suite_at(tmp_path / "found.yaml")
    check_buildable(suite)
    assert [suite.marks[name].fault for name in named] == ["thaw_one_parameter", ""]
    assert len({repr(recipe) for recipe in suite.recipes.values()}) == 1


def test_a_kept_fault_is_put_into_its_own_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first recipe of a system is not the only one that it is tried on."""
    tried: list[tuple[str, str]] = []
    monkeypatch.setattr(fault_table, "fault_row", lambda fault, name, *_rest: tried.append((fault.name, name)))
    recipe = Recipe.model_validate(SMALLEST)
    recipes = {"first": recipe, "second": recipe, "third": recipe}
    marked = {"second": "thaw_one_parameter", "first": "thaw_one_parameter", "third": "nudge_one_frozen_element"}
    list(fault_table.fault_rows(recipes, Sockets(), tmp_path, ["thaw_one_parameter"], marked))
    assert tried == [("thaw_one_parameter", "first"), ("thaw_one_parameter", "second")]


def test_a_kept_fault_that_there_is_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "found.yaml").write_text(as_suite({"one": Recipe.model_validate(SMALLEST)}, "", {"one": "no_such"}))
    with pytest.raises(Refused, match=r"unknown fault 'no_such'"):
        check_buildable(suite_at(tmp_path / "found.yaml"))


def test_settings_that_are_not_refused_are_shown_and_are_no_suite(tmp_path: Path) -> None:
    one = Found("is refused", Drawn(rule="one_adapter", settings={"family": "f"}), "it is not")
    assert finding.told("n", one, tmp_path)[1:] == ["family: f", "rule    one_adapter"]
    assert not finding.write({"n": one}, tmp_path / "none.yaml")


def test_what_is_kept_is_a_suite_that_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, seed in enumerate((1, 2, 2), start=1):
        recipe = Recipe.model_validate({**SMALLEST, "seed": seed})
        one = finding.named([Found("p", Drawn(recipe), "how")])
        assert finding.write(one, tmp_path / "new.yaml")
        with pytest.raises(SystemExit) as ended:
            command.main(keep=tmp_path / "new.yaml")
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert said.startswith(f"{int(number < 3)} added to suites/found.yaml, which has {min(number, 2)}: harness run")
    suite = read_suite(tmp_path / "suites" / "found.yaml")
    assert [recipe.seed for recipe in suite.recipes.values()] == [1, 2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"keep": Path("nowhere.yaml")}, "nowhere.yaml: "),
        ({"only": ["all"]}, "harness: --only all is no property; use silent, caught or refused"),
        ({"family": ["llava"], "only": ["refused"], "recipes": 10}, "unknown family 'llava'"),
    ],
    ids=["keep", "only", "family"],
)
def test_wrong_usage_is_said_in_one_line(
    options: dict[str, object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(out=tmp_path, **options)  # type: ignore[arg-type]
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_terminal_has_one_line_that_goes_on_and_the_counts_come_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen(5, live=True)
    screen.batch("silent", Batch(0, 10, None))
    screen.batch("caught", Batch(1, 12, found()))
    screen.end()
    said = capsys.readouterr().out
    assert "0:00 of 5:00  10 trained, 12 with a fault; 1 found" in said
    assert "caught 1: 12 tried, FOUND  it does not\n" in said
    assert said.count("\n") == 1

    done = Done([("silent", Batch(0, 10, None)), ("refused", Batch(1, 30, None))], [60, 80])
    assert summary(done, 0, 20.0) == (
        "10 recipes in 20 s, 30 a minute (10 trained, 30 refused); 0 broke a property; a worker took at most 80 MiB"
    )
