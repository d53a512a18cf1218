"""Recorded runs of tiny models: made once for all tests here, and read by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.launch import Launcher
from harness.recipe import Recipe
from harness.running.planner import plan
from harness.running.runner import Runner
from harness.running.workers import Workers

QV = r".*language_model\..*\.(q_proj|v_proj)"
RECIPES: dict[str, dict[str, Any]] = {
    "connector": {"tune": ["connector"]},
    "lora": {"tune": ["connector"], "lora": {"rank": 4, "targets": QV}, "precision": "bf16"},
    "no-processor": {"tune": ["connector"], "save": {"processor": False, "tokenizer": True}},
    "vision": {"tune": ["connector", "vision"], "optimizer": {"accumulation": 2}},
}


@pytest.fixture(scope="session")
def trace_of(warm: Any, bases: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The trace of one of the recipes above, with everything that the checks ask for."""
    from harness.checks import CHECKS

    folder, made = tmp_path_factory.mktemp("intents"), {}
    workers = Workers(Launcher(warm.makers), Launcher(warm.reloaders))

    def trace(name: str) -> Any:
        if name not in made:
            recipe = Recipe.model_validate({"family": "llava-1.5-7b", **RECIPES[name]})
            made[name] = Runner(workers, folder, bases).carry_out(plan(name, recipe, tuple(CHECKS))).traces["main"]
        return made[name]

    return trace
