"""The page on tracing: its commands and its tests run as they are, and its table names the checks there are."""

from __future__ import annotations

import re
from pathlib import Path

from harness.checks.universal import UNIVERSAL
from tests.docs.conftest import ROOT, blocks, commands
from tests.docs.test_readme import run

PAGE = "docs/trace.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def test_its_commands_run_one_after_the_other(tmp_path: Path) -> None:
    for block in blocks(PAGE):
        if block.name:
            (tmp_path / block.name).write_text(block.text, encoding="utf-8")

    for command, shown in commands(PAGE):
        ended = run(command, tmp_path)
        bad = "--reload" in command
        assert ended.returncode == int(bad), ended.stdout + ended.stderr
        assert all(line in ended.stdout for line in shown)
        if bad:
            finding = re.search(r"^    FAILED.*?\n\n", TEXT, re.DOTALL | re.MULTILINE)
            assert finding is not None
            assert all(line.strip() in ended.stdout for line in finding[0].splitlines())


def test_its_tests_pass(tmp_path: Path) -> None:
    (source,) = [block for block in blocks(PAGE) if block.name == "test_mine.py"]
    (tmp_path / "test_mine.py").write_text(source.text, encoding="utf-8")

    ended = run("pytest -q -p no:cacheprovider test_mine.py", tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_its_table_names_every_universal_check() -> None:
    assert re.findall(r"^\| `([\w.]+)`", TEXT, re.MULTILINE) == [one.name for one in UNIVERSAL]
