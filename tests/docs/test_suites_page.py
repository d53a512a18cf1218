"""The page on suites: its suite is taken, and its commands run."""

from __future__ import annotations

from pathlib import Path

from tests.docs.test_readme import each_command_of


def test_its_commands_run_one_after_the_other(tmp_path: Path) -> None:
    assert len(list(each_command_of("docs/suites.md", tmp_path))) == 3
