"""peft trains every parameter of a module that it keeps a copy of, those too that the original keeps fixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.checks import CHECKS
from harness.recipe import Recipe
from harness.result import Status
from harness.running.session import Session

LORA = {"rank": 2, "targets": r".*language_model\..*\.(q_proj|v_proj)"}


def kept_modules(family: str, warm: Any, out: Path) -> Any:
    recipe = Recipe(family=family, steps=2, tune=["connector"], lora=LORA)
    return Session(warm, out).results("s/r", recipe, [check.name for check in CHECKS])["kept_modules"]


def test_what_is_fixed_and_thawed_in_a_copy_is_found(warm: Any, tmp_path: Path) -> None:
    result = kept_modules("tests.families.fixed:FIXED", warm, tmp_path)

    assert [finding.kind for finding in result.findings] == ["ThawedInCopy"]
    assert "multi_modal_projector.linear_1.bias" in result.findings[0].where


def test_where_nothing_is_fixed_nothing_is_thawed(warm: Any, tmp_path: Path) -> None:
    assert kept_modules("llava-1.5-7b", warm, tmp_path).status is Status.PASSED
