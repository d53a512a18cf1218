"""The page on drawn recipes: its session runs, and its test is one."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.faults import FAULTS
from harness.strategies import __main__ as command
from harness.strategies.fields import NOT_DRAWN
from tests.docs.conftest import ROOT, blocks, commands, written_by

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


def searched() -> Any:
    return written_by("searched.py")


def test_what_it_says_was_searched_is_what_was() -> None:
    writes = searched()
    kept = json.loads(writes.DATA.read_text(encoding="utf-8"))
    assert writes.page(TEXT, kept) == TEXT, "run `python docs/searched.py`"
    known = {fault.name for fault in FAULTS.values()}
    assert {name for one in kept.values() for name in one["faults"]} <= known, "of faults that there are no more"


def test_a_later_search_takes_an_earlier_one_s_place_pair_by_pair() -> None:
    of = {"engines": ["trainer"], "processes": [1, 2], "launchers": ["fork"], "seed": 3}
    first = {**of, "date": "2026-01-02", "faults": {"x": {"a": "missed", "b": "-"}}}
    second = {**of, "date": "2026-01-03", "faults": {"x": {"a": "caught"}, "y": {"b": "missed"}}}
    drawn = {**of, "date": "2026-01-01", "recipes": {"silent": {"tried": 10, "found": 1}}}
    kept: Any = {}
    for record in (first, second, drawn):
        kept = searched().with_record(kept, record)
    said = searched().section(kept).splitlines()
    assert said[2:] == [
        "| trainer, 1 or 2 processes by fork | 2026-01-03 | 3 of 2 faults | 1 | 1 | 1 | 10 | 1 |",
        "",
        "Missed are: `y` in b by trainer, 1 or 2 processes by fork.",
    ]
