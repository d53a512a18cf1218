"""Recipes for a GPU where there is none: one line says that nothing was run, why, and how much; nothing passes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness import devices
from harness.cli.main import status_of
from harness.launch import Launcher
from harness.recipe import Recipe, read_suite
from harness.refusal import Refused
from harness.running.session import refuse_missing_device
from harness.running.workers import Workers

ROOT = Path(__file__).parents[2]
GPU_SUITES = sorted((ROOT / "suites" / "gpu").glob("*.yaml"))
WHY = "torch 2.11.0 sees no GPU"
ON_GPU = Recipe(family="llava-1.5-7b", tune="connector", device="cuda")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "why_no_cuda", lambda: WHY)


def test_the_line_counts_what_is_not_run(no_gpu: None) -> None:
    suites = [read_suite(path) for path in GPU_SUITES]
    recipes = sum(len(suite.recipes) for suite in suites)

    with pytest.raises(Refused, match=rf"nothing was run: {WHY}; {recipes} recipes with \d+ checks were skipped"):
        refuse_missing_device(suites)


def test_a_command_ends_with_that_line_and_not_well(no_gpu: None, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "faults"):
        assert status_of([command, str(ROOT / "suites" / "gpu"), "--out", "none"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert WHY in line


def test_where_there_is_one_and_for_what_needs_none_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(devices, "why_no_cuda", lambda: asked.append("once"))

    refuse_missing_device([read_suite(ROOT / "suites" / "llava.yaml")])
    assert asked == []
    refuse_missing_device([read_suite(path) for path in GPU_SUITES])
    assert asked


def test_plain_pytest_says_it_too() -> None:
    devices.why_no_cuda.cache_clear()
    if devices.why_no_cuda() is None:
        pytest.skip("there is a GPU here")
    suite = "suites/gpu/precision.yaml"
    command = [sys.executable, "-m", "pytest", "-p", "harness.pytest_plugin", suite, "-q"]
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, env=environment)

    assert done.returncode not in (0, 5)
    assert re.search(r"nothing was run: torch .* recipes with \d+ checks were skipped", done.stdout)


def test_on_a_gpu_nothing_is_forked() -> None:
    warm = Workers(Launcher("socket", {"HF_MODULES_CACHE": "there"}), Launcher("other"))

    assert warm.of(ON_GPU.model_copy(update={"device": "cpu"})) is warm
    assert [one.kind for one in (warm.of(ON_GPU).makers, warm.of(ON_GPU).reloaders)] == ["fresh interpreter"] * 2
    assert warm.of(ON_GPU).makers.environment == {"HF_MODULES_CACHE": "there", **devices.ENVIRONMENT}
