"""The page on other roads: its suite runs as it says, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from harness.recipe.fields import Equivalence
from harness.recipe.processes import LaunchedBy
from tests.docs.conftest import ROOT, blocks, commands
from tests.docs.test_readme import run

PAGE = "docs/processes.md"


def first_column(head: str) -> list[str]:
    """The code words of the first column of the table under a heading."""
    table = (ROOT / PAGE).read_text(encoding="utf-8").partition(f"| `{head}:`")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([\w-]+)`", table, re.MULTILINE)


@pytest.mark.parametrize(("command", "shown"), commands(PAGE))
def test_its_commands_run(command: str, shown: list[str], tmp_path: Path) -> None:
    for block in blocks(PAGE):
        if block.name:
            (tmp_path / block.name).write_text(block.text, encoding="utf-8")

    ended = run(command, tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert all(line in ended.stdout for line in shown)


def test_its_tables_name_every_launcher_and_every_equivalence() -> None:
    assert first_column("launch") == list(get_args(LaunchedBy)[:1]) + sorted(get_args(LaunchedBy)[1:], reverse=True)
    assert set(first_column("agrees_with")) == set(get_args(Equivalence))
