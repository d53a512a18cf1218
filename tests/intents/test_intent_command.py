"""`harness intent` and `harness check --intent`: what is written, said, and to be called again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.main import status_of

Trace = Any


def test_a_draft_is_written_and_judged_by(
    trace_of: Callable[[str], Trace], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my intent.yaml"

    drafted = status_of(["intent", str(trace_of("connector").directory), "-o", str(file)])
    silent = status_of(["check", str(trace_of("connector").directory), "--intent", str(file)])
    capsys.readouterr()
    found = status_of(["check", str(trace_of("vision").directory), "--intent", str(file)])
    said = capsys.readouterr().out

    assert (drafted, silent, found) == (0, 0, 1)
    assert "vision: frozen here (frozen: vision)" in said
    again = next(line for line in said.splitlines() if line.strip().startswith("again")).split("again", 1)[1]
    assert status_of(shlex.split(again)[1:]) == 1
    assert capsys.readouterr().out == said


def test_a_command_is_read_and_what_is_unknown_is_said_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "intent.yaml"
    command = "torchrun finetune.py --tune_vision false --use_lora --tune_llm false --new 3"

    status = status_of(["intent", "--from-command", command, "-o", str(file)])
    said = capsys.readouterr()

    assert (status, said.out, said.err) == (0, f"wrote {file}\n", "harness: not covered: --new 3\n")
    assert "# not covered: --new 3\n" in file.read_text(encoding="utf-8")


def test_facts_as_json(capsys: pytest.CaptureFixture[str], trace_of: Callable[[str], Trace]) -> None:
    assert status_of(["intent", "--from-command", "trl sft --new 3", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["system"], read["not_covered"], read["intent"]["trainable"]) == ("trl", ["--new 3"], ["all"])
    assert status_of(["intent", str(trace_of("connector").directory), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_the_schema_of_an_intent_file(capsys: pytest.CaptureFixture[str]) -> None:
    import jsonschema

    assert status_of(["schema", "--intent"]) == 0
    schema = json.loads(capsys.readouterr().out)

    jsonschema.validate({"trainable": "vision", "adapters": "none", "save": "full"}, schema)
    jsonschema.validate({"trainable": ["vision"], "adapters": {"rank": 4}, "save": {"what": "full"}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"trainble": ["vision"]}, schema)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a trace, or --from-command 'CMD'"),
        (["a", "--from-command", "b"], "give a trace, or --from-command 'CMD'"),
        (["a", "--system", "trl"], "--system is about the flags of a command"),
        (["nowhere"], "is not a trace"),
        (["--from-command", "trl sft", "--system", "tlr"], "--system tlr: is unknown; did you mean trl?"),
        (["--from-command", "trl sft", "-o", "/nowhere/x"], "/nowhere/x: cannot be written"),
    ],
)
def test_wrong_usage_is_said_in_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["intent", *arguments]) == 2
    assert said in capsys.readouterr().err
