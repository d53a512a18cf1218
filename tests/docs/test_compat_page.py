"""The page on stacks: its commands are ones that work, and its table is what was measured."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import status_of
from harness.compat_table import CompatTable, Outcome
from harness.recipe import read_suite
from harness.result import Status
from harness.stacks import read_stacks
from harness.verdict import read_known_failures
from tests.docs.conftest import ROOT, written_by

PAGE = (ROOT / "docs" / "compat.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    harness (compat .*)$", PAGE, re.MULTILINE)
FOLDER = ROOT / "suites" / "compat"


@pytest.fixture(scope="module")
def measured() -> CompatTable:
    return CompatTable.read(ROOT / "docs" / "compat.json")


def test_the_table_on_the_page_is_the_one_that_was_measured(measured: CompatTable) -> None:
    module = written_by("compat.py")

    assert module.page(PAGE, measured) == PAGE
    assert "K 55 keys lost" in PAGE


def test_what_was_measured_are_the_shipped_stacks_and_recipes(measured: CompatTable) -> None:
    asked = {stack.name: dict(stack.versions) for stack in read_stacks(FOLDER / "stacks.yaml")}

    assert {stack.name: dict(stack.asked) for stack in measured.stacks} == asked
    assert measured.recipes == tuple(f"llava/{name}" for name in read_suite(FOLDER / "llava.yaml").recipes)
    assert len(measured.cells) == len(measured.recipes) * len(measured.stacks) ** 2


def test_the_keys_that_are_lost_in_silence_have_names(measured: CompatTable) -> None:
    for old in ("4.45", "4.52", "4.57", "5.0"):
        cell = measured.cell("llava/created", "5.23", old)
        assert cell is not None
        assert (cell.outcome, cell.error) == (Outcome.KEYS_LOST, "")
        assert len(cell.missing) == 55
        assert all(key.startswith("vision_tower.vision_model.") for key in cell.missing)


def test_every_known_failure_was_met_and_has_a_public_thread(measured: CompatTable) -> None:
    known = read_known_failures(FOLDER / "known_failures.yaml")
    met = {cell.reason for cell in measured.cells if cell.status is Status.KNOWN_FAILURE}

    assert {f"{one.reason} ({one.link})" for one in known} == met
    assert all(re.fullmatch(r"https://github\.com/huggingface/\w+/(issues|pull)/\d+", one.link) for one in known)
    assert measured.bad == ()


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_understood(command: str, measured: CompatTable, tmp_path: Path, monkeypatch: Any) -> None:
    """Without the runs themselves: the tests of the command make some, over stacks that need no network."""
    asked: list[str] = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("harness.running.session.claim_out", lambda out, folders: tmp_path)
    monkeypatch.setattr("harness.stacks.Layers.all", lambda self, stacks, workers: asked.append("layers"))
    monkeypatch.setattr("harness.compat.matrix.table_of", lambda workshop, layered, wanted: measured)
    monkeypatch.setattr("harness.cli.bisecting.bisected", lambda text, *rest: asked.append(text) or 0)

    assert status_of(shlex.split(command)) == 0
    assert len(asked) == 1


def test_the_page_shows_both_ways() -> None:
    assert len(COMMANDS) == 5
    assert sum("--bisect" in command for command in COMMANDS) == 2
