"""The worked example of a model of one's own: its files are taken from the page, run, and broken."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.cli.main import status_of
from tests.docs.conftest import blocks, commands
from tests.docs.test_readme import run, without_time

PAGE = "docs/own-model.md"
WHOLE, BROKEN = commands(PAGE)
FORGOTTEN = "        optimizer.zero_grad()\n"


def written(folder: Path) -> Path:
    for block in blocks(PAGE):
        if block.name:
            (folder / block.name).write_text(block.text, encoding="utf-8")
    return folder


def without_counts(line: str) -> str:
    """How many checks there are changes with every release; how many recipes fail or warn does not."""
    return re.sub(
        r"\b\d+(?= (?:checks|of \d+ checks|passed|not applicable))|(?<=of )\d+(?= checks)", "N", without_time(line)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def said(folder: Path) -> list[str]:
    ended = run(WHOLE[0], folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [line for line in ended.stdout.splitlines() if line.strip()]


def test_the_page_has_every_file_of_the_example(folder: Path) -> None:
    assert {path.name for path in folder.glob("own*.*")} == {
        "own.yaml",
        "own_checks.py",
        "own_family.py",
        "own_model.py",
        "own_trainer.py",
    }


def test_the_whole_suite_passes_and_says_what_the_page_shows(said: list[str]) -> None:
    assert [without_counts(line) for line in said] == [without_counts(line) for line in WHOLE[1]]


def test_whose_code_loaded_the_directory_is_in_the_results(said: list[str], folder: Path) -> None:
    lines = map(json.loads, (folder / "harness-out" / "results.jsonl").read_text().splitlines())
    reasons = {one["check"]: one.get("reason", "") for one in lines if one["recipe"] == "own/connector"}

    whose = "loaded by own_model:load_model and own_model:load_processor"
    assert reasons["reloaded_parameters_equal"] == reasons["processor_reloads"] == whose
    assert reasons["frozen_parameters_unchanged"] == ""


def test_the_own_check_finds_something_and_only_where_it_is(said: list[str], folder: Path) -> None:
    lines = map(json.loads, (folder / "harness-out" / "results.jsonl").read_text().splitlines())
    own = {one["recipe"]: one["status"] for one in lines if one["check"] == "steps_we_pay_for"}

    assert own.pop("own/longer") == "warned"
    assert set(own.values()) == {"passed"}
    assert len(own) == 5


def test_the_mistake_of_the_page_is_found_as_the_page_shows(tmp_path: Path) -> None:
    trainer = written(tmp_path) / "own_trainer.py"
    assert FORGOTTEN in trainer.read_text()
    trainer.write_text(trainer.read_text().replace(FORGOTTEN, ""))

    ended = run(BROKEN[0], tmp_path)

    shown = [line for line in ended.stdout.splitlines() if line.strip()]
    assert ended.returncode == 1
    assert [without_counts(line) for line in shown] == [without_counts(line) for line in BROKEN[1]]


@pytest.mark.parametrize(
    ("file", "was", "becomes", "check"),
    [
        (
            "own_model.py",
            "save_file(self.state_dict()",
            "save_file(OwnModel(self.config).state_dict()",
            "reloaded_parameters_equal",
        ),
        ("own_family.py", 'turn.speaker == "assistant")\n', "True)\n", "labels"),
    ],
    ids=["saves another model", "learns the questions too"],
)
def test_other_mistakes_are_found_too(file: str, was: str, becomes: str, check: str, tmp_path: Path) -> None:
    place = written(tmp_path) / file
    assert was in place.read_text()
    place.write_text(place.read_text().replace(was, becomes))

    ended = run(BROKEN[0], tmp_path)

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"FAILED  {check}" in ended.stdout


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("own_family:FAMILY", "own_family:FAMILIES", "family 'own_family:FAMILIES' cannot be imported"),
        ("own_family:FAMILY", "own_family:tokenizer", "is no family: it has no name, description, sizes"),
        ("own_trainer:train", "own_trainer:trains", "engine 'own_trainer:trains' cannot be imported"),
        (
            "own_trainer:train",
            "own_trainer:AUTOCAST",
            "engine 'own_trainer:AUTOCAST' cannot be called; name a function",
        ),
        ("own_trainer:train", "trainers", "engine 'trainers' is not installed"),
        ("own_model:load_model", "own_model:load_models", "loader 'own_model:load_models' cannot be imported"),
        ("own_model:load_model", "nobodys", "loader 'nobodys' is not written as module:name"),
        ("own_model:load_model", "'own model'", "save.loader: String should match pattern"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(was: str, becomes: str, said: str, folder: Path, capsys) -> None:
    suite = (folder / "own.yaml").read_text()
    assert was in suite
    (folder / "broken.yaml").write_text(suite.replace(was, becomes))

    status = status_of(["run", str(folder / "broken.yaml"), "--out", str(folder / "nowhere")])

    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert said in shown.err
    assert shown.err.startswith(f"harness: {folder / 'broken.yaml'}: ")
    assert shown.err.count("\n") == 1
    assert not (folder / "nowhere").exists()
