"""The page on `harness inspect`: its commands run in order and say what it shows, and it names every check."""

from __future__ import annotations

import re
from pathlib import Path

from harness.checkpoint.inspecting import NAMES
from tests.docs.conftest import ROOT, commands
from tests.docs.test_readme import run

PAGE = "docs/inspect.md"


def test_every_command_does_what_is_shown(tmp_path: Path) -> None:
    for command, shown in commands(PAGE):
        ended = run(command, tmp_path)
        assert ended.returncode == 0, (command, ended.stdout, ended.stderr)
        said = [line for line in ended.stdout.splitlines() if line.strip()]
        assert not shown or said == shown, command


def test_every_check_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)[1:]

    assert [f"inspect.{name}" for row in rows for name in re.findall(r"`(\w+)`", row)] == sorted(
        NAMES, key=list(NAMES).index
    )
