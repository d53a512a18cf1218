"""The page on intent files: its commands run in order and say what it shows, and it names every setting."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from harness.cli.main import status_of
from harness.intents import IntentFile, intent_from
from harness.intents.commands import SYSTEMS
from harness.intents.file import Adapters, Optimizer, Saved
from tests.docs.conftest import ROOT, blocks, commands

if TYPE_CHECKING:
    import pytest

PAGE = "docs/intent.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def test_every_command_does_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(PAGE):
        if block.name:
            Path(block.name).write_text(block.text, encoding="utf-8")
    for command, _ in commands(PAGE):
        capsys.readouterr()
        words = shlex.split(command)
        if words[0] == "python":
            monkeypatch.setattr("sys.argv", words[1:])
            runpy.run_path(words[1], run_name="__main__")
            continue
        status = status_of(words[1:])
        said = capsys.readouterr()

        assert status == int("bad" in words), (command, said)
        shown = re.search(rf"^\$ {re.escape(command)}[^\n]*\n(.*?)(?=^\$|^```)", TEXT, re.DOTALL | re.MULTILINE)
        assert shown is not None
        assert not shown[1] or said.out == shown[1], command
        if "bad" in words:
            finding = re.search(r"^    FAILED.*?\n\n", TEXT, re.DOTALL | re.MULTILINE)
            assert finding is not None
            assert re.sub(r"^    ", "", finding[0].rstrip(), flags=re.MULTILINE) in said.out


def test_the_file_that_is_shown_is_one() -> None:
    shown = next(block for block in blocks(PAGE) if block.name == "intent.yaml")

    assert isinstance(intent_from(yaml.safe_load(shown.text), "intent.yaml"), IntentFile)


def test_every_setting_and_every_system_is_named() -> None:
    names = {name for model in (IntentFile, Adapters, Optimizer, Saved) for name in model.model_fields}

    assert {name for name in {*names, *SYSTEMS} - {"description"} if not re.search(rf"[`{{]{name}\b", TEXT)} == set()
