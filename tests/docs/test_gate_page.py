"""The page on the release gate: its commands run, its checks are those there are, its workflow does what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.gate import OF_GOLDENS
from tests.docs.conftest import ROOT, blocks, commands
from tests.docs.test_readme import run

PAGE = "docs/gate.md"
WORKFLOW = ROOT / "docs" / "github-actions.yml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's suite lies and its golden is pinned."""
    place = tmp_path_factory.mktemp("gate")
    for block in blocks(PAGE):
        if block.name:
            (place / block.name).write_text(block.text, encoding="utf-8")
    pinned = run("harness golden pin release.yaml", place)
    assert pinned.returncode == 0, pinned.stdout + pinned.stderr
    return place


def test_its_commands_run_one_after_the_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINETUNE_HARNESS_HISTORY")
    for command, shown in commands(PAGE):
        ended = run(command, folder)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert all(line in ended.stdout for line in shown)
    assert (folder / ".harness" / "history.sqlite").exists()


def test_it_names_the_checks_of_goldens() -> None:
    named = re.findall(r"`(golden\.\w+)`", (ROOT / PAGE).read_text(encoding="utf-8"))
    assert set(named) == set(OF_GOLDENS)


def steps() -> dict[str, Any]:
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return {step.get("name", step.get("uses")): step for step in workflow["jobs"]["gate"]["steps"]}


def test_the_workflow_caches_summarises_and_keeps_the_reports() -> None:
    found = steps()
    assert found["actions/setup-python@v5"]["with"]["cache"] == "pip"
    assert found["actions/cache@v4"]["with"]["path"] == ".harness"
    assert "GITHUB_STEP_SUMMARY" in found["Job summary"]["run"]
    assert found["Job summary"]["if"] == found["Reports"]["if"] == "always()", "a gate that failed is read most"
    assert "harness-out/junit.xml" in found["Reports"]["with"]["path"].split()


def test_the_gate_of_the_workflow_is_the_project_s_own() -> None:
    """The options of the workflow's command are those of `nox -s gate`."""
    session = (ROOT / "noxfile.py").read_text(encoding="utf-8").partition("def _gate(")[2].partition("def ")[0]
    command = shlex.split(re.sub(r"\$\{\{.*?\}\}", "", steps()["Gate"]["run"]))
    assert command[:2] == ["harness", "run"]
    assert {"--golden", "--inspect"} <= set(command)
    assert all(f'"{option}"' in session for option in ("--golden", "--inspect"))


def git(folder: Path, *arguments: str) -> None:
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    subprocess.run(["git", *arguments], cwd=folder, check=True, env={**os.environ, **who}, capture_output=True)


def commit(folder: Path, baseline: str, tag: str = "") -> None:
    (folder / "golden").mkdir(exist_ok=True)
    (folder / "golden" / "baseline.json").write_text(baseline)
    git(folder, "add", ".")
    git(folder, "commit", "-m", baseline)
    if tag:
        git(folder, "tag", tag)


def baseline_step(folder: Path, output: Path) -> str:
    """What the step that looks for the last release's baseline hands to the gate."""
    output.write_text("")
    environment = {**os.environ, "GITHUB_OUTPUT": str(output)}
    subprocess.run(
        ["bash", "-e", "-c", steps()["Baseline of the last release"]["run"]], cwd=folder, check=True, env=environment
    )
    return output.read_text().strip()


def test_the_baseline_is_that_of_the_last_release(tmp_path: Path) -> None:
    folder, output = tmp_path / "checkout", tmp_path / "output"
    folder.mkdir()
    git(folder, "init")
    commit(folder, "none released")
    assert baseline_step(folder, output) == ""
    commit(folder, "first", "v1")
    commit(folder, "second", "v2")
    commit(folder, "since")
    assert baseline_step(folder, output) == "option=--baseline last-release.json"
    assert (folder / "last-release.json").read_text() == "second"


def test_a_release_is_compared_with_the_one_before(tmp_path: Path) -> None:
    folder, output = tmp_path / "checkout", tmp_path / "output"
    folder.mkdir()
    git(folder, "init")
    commit(folder, "first", "v1")
    commit(folder, "second", "v2")
    baseline_step(folder, output)
    assert (folder / "last-release.json").read_text() == "first"
