"""The page on real trainers: its table is what was seen, nothing in it is wrong, and its commands work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import status_of
from harness.data.written import FORMATS
from tests.docs.conftest import ROOT, commands, written_by
from trainers.asked import HEALTHY, read_asked
from trainers.table import read_table

PAGE = (ROOT / "docs" / "trainers.md").read_text(encoding="utf-8")
ROWS = read_table(ROOT / "docs" / "trainers.json")["trainers"]


def test_the_table_on_the_page_is_what_was_seen() -> None:
    module = written_by("trainers.py")

    assert module.page(PAGE) == PAGE, "run `python docs/trainers.py`"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["trainer"])
def test_what_was_seen_is_of_what_is_asked_for_now_and_as_it_should_be(row: dict[str, Any]) -> None:
    asked = read_asked()
    (trainer,) = [one for one in asked.trainers if one.name == row["trainer"]]
    if trainer.layer:
        assert row["versions"].items() >= asked.layers[trainer.layer].versions.items()
    for one in row["cases"]:
        places = {"model": "MODEL", "data": "DATA", "out": "OUT", "scripts": "SCRIPTS"}
        assert one["command"] == " ".join(trainer.words(one["case"], places))
        assert one["right"]
        assert one["applied"] >= 20
        assert one["verdict"] == "silent" if one["case"] in HEALTHY else one["verdict"].startswith("caught: ")
        assert (
            set(one["failed"]) & set(asked.caught_by[one["case"]]) if one["case"] not in HEALTHY else not one["failed"]
        )


def test_tiny_checkpoints_of_the_librarys_types_are_trained_by_path_and_nothing_is_found() -> None:
    for trainer in read_asked().trainers:
        rows = [row for row in ROWS if row["trainer"] == trainer.name]
        seen = {one["model"]: one for row in rows for one in row.get("models", ())}
        assert seen.keys() == set(trainer.also.models)
        places = {"model": "MODEL", "data": "DATA", "out": "OUT", "scripts": "SCRIPTS"}
        for model, one in seen.items():
            assert one["command"] == " ".join(trainer.given(model).words("healthy", places))
            assert (one["verdict"], one["right"], one["applied"] >= 20) == ("silent", True, True), model


def test_its_commands_write_a_model_and_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = [command for command, _ in commands("docs/trainers.md")]

    assert len(shown) == 2
    for command in shown:
        assert status_of(shlex.split(command.removeprefix("harness "))) == 0
    assert (tmp_path / "model" / "config.json").exists()
    assert (tmp_path / "data" / "data.json").exists()


def test_every_format_is_on_the_page() -> None:
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE) == list(FORMATS)
