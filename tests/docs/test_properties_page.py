"""The page on drawn recipes: its session runs, and its test is one."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from harness.strategies import __main__ as command
from harness.strategies.fields import NOT_DRAWN
from tests.docs.conftest import ROOT, blocks, commands

PAGE = "docs/properties.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def ended(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_its_session_says_what_the_page_shows(tmp_path: Path) -> None:
    ((line, shown),) = commands(PAGE)
    made = ended(shlex.split(line)[1:], tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[: len(shown)] == shown


def test_its_test_passes(tmp_path: Path) -> None:
    (block,) = (one for one in blocks(PAGE) if one.name)
    assert block.name == "test_drawn.py"
    (tmp_path / block.name).write_text(block.text, encoding="utf-8")
    made = ended(["-m", "pytest", "-q", "-p", "no:cacheprovider", block.name], tmp_path)
    assert made.returncode == 0, made.stdout
    assert "1 passed" in made.stdout


def test_its_options_are_the_command_s() -> None:
    known = {*command.main.__annotations__, "n"}
    named = {name.replace("-", "_") for name in re.findall(r"`--([\w-]+)", TEXT)}
    assert named <= known
    assert {"minutes", "seed", "family", "engine", "processes", "recipes"} <= named


def test_its_table_is_there() -> None:
    assert all(reason for reason in NOT_DRAWN.values())
    assert "harness.strategies.fields.NOT_DRAWN" in TEXT
