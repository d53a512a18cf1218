"""What docs/budgets.md shows can be read, and its commands are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.checks import CHECKS
from harness.checks.universal import UNIVERSAL
from harness.cli.main import app
from harness.intents import IntentFile, read_intent
from harness.recipe import read_suite
from harness.recipe.budgets import Throughput

PAGE = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text(encoding="utf-8")


def test_its_recipe_can_be_read(tmp_path: Path) -> None:
    text, _ = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(text)
    budget = read_suite(tmp_path / "mine.yaml").recipes["connector"].budget

    assert budget is not None
    assert budget.throughput is not None
    assert budget.memory is not None
    assert (budget.throughput.of_bare, budget.throughput.pinned, budget.memory.of_estimate) == (0.65, True, 1.1)


def test_its_intent_can_be_read(tmp_path: Path) -> None:
    _, text = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "intent.yaml").write_text(text)
    promise = read_intent(tmp_path / "intent.yaml")

    assert isinstance(promise, IntentFile)
    assert promise.budget is not None
    assert (promise.budget.memory, len(promise.budget.timed)) == (40 * 2**30, 3)


def test_its_commands_are_there() -> None:
    (text,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    known = {command.name for command in app.registered_commands}

    assert {line.split()[1] for line in text.splitlines()} <= known


@pytest.mark.parametrize("check", ["throughput_within_budget", "memory_within_budget"])
def test_its_checks_are_there(check: str) -> None:
    assert f"`{check}`" in PAGE
    assert CHECKS[check].name == check


@pytest.mark.parametrize("check", ["steps_within_budget", "memory_within_limit"])
def test_its_checks_of_commands_are_there(check: str) -> None:
    assert f"`{check}`" in PAGE
    assert UNIVERSAL[check].untold is not None


def test_its_figures_are_those_of_the_code() -> None:
    assert Throughput().windows == 12
    assert "there are twelve windows" in PAGE
    with pytest.raises(ValueError, match="greater than or equal to 9"):
        Throughput(windows=8)
