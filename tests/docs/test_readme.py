"""What the README shows is so: its commands run, its files are taken, its output is what comes out."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT, blocks, commands, written_by

RUN = ("harness", "cp", "rm")
HARNESS = [(command, shown) for command, shown in commands("README.md") if command.split()[0] in RUN]
NOX = [command for command, _ in commands("README.md") if "nox" in command]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    bin_first = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        shlex.split(command),
        cwd=folder,
        env={**os.environ, "PATH": bin_first, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def each_command_of(page: str, place: Path) -> Iterator[tuple[subprocess.CompletedProcess[str], list[str]]]:
    """The commands of a page beside the files that it names, one after the other: each ends well, and what is shown."""
    for block in blocks(page):
        if block.name:
            (place / block.name).write_text(block.text, encoding="utf-8")
    for command, shown in commands(page):
        ended = run(command, place)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        yield ended, shown


def without_time(line: str) -> str:
    """What a recipe took is different each time."""
    return re.sub(r"    \d+\.\d s$", "", line)


@pytest.mark.parametrize(("command", "shown"), HARNESS, ids=[command for command, _ in HARNESS])
def test_a_command_does_what_is_shown(command: str, shown: list[str], examples: Path) -> None:
    ended = run(command, examples)
    said = [without_time(line) for line in ended.stdout.splitlines() if line.strip()]

    assert ended.returncode == int(any("FAILED" in line for line in shown)), ended.stdout + ended.stderr
    assert not shown or said == [without_time(line) for line in shown]


def test_the_training_of_ones_own_passes(examples: Path) -> None:
    ended = run("python -m pytest -q test_my_training.py", examples)

    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout


def test_the_training_of_ones_own_can_fail(examples: Path, tmp_path: Path) -> None:
    example = (examples / "test_my_training.py").read_text(encoding="utf-8")
    forgetful = example.replace("    model.vision.requires_grad_(False)\n", "")
    assert forgetful != example
    (tmp_path / "test_forgetful.py").write_text(forgetful, encoding="utf-8")

    ended = run("python -m pytest -q test_forgetful.py", tmp_path)

    assert ended.returncode == 1
    assert "FAILED  trainable_set_as_intended" in ended.stdout


def test_the_two_commands_name_sessions() -> None:
    sessions = re.findall(r"@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text(encoding="utf-8"))

    assert [command.split()[-1] for command in NOX] == ["gate", "tests"]
    assert {"gate", "tests"} <= set(sessions)


def test_every_command_is_described() -> None:
    listed = set(re.findall(r"^\| `harness (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    there = set(re.findall(r"^  (\w+)  ", run("harness --help", ROOT).stdout, re.MULTILINE))

    assert listed == there


def test_the_generated_parts_are_current() -> None:
    tables = written_by("tables.py")

    for document in tables.DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert tables.current(text) == text, "run `python docs/tables.py`"
