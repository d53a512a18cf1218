"""OmniLMM's tower in a list, and its token ids outside the configuration, as whole runs show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.checks import CHECKS
from harness.own_code import let_in
from harness.recipe import Recipe
from harness.result import Result, Status
from harness.running.session import Session
from tests.conftest import ROOT

LISTED = "omnilmm-12b-no-tune-clip"
LOADER = "omnilmm_loading:load"


@pytest.fixture
def results(warm: Any, bases: Path, tmp_path: Path) -> Any:
    def made(family: str, tune: list[str], loader: str | None = LOADER) -> dict[str, Result]:
        let_in(ROOT / "suites")
        recipe = Recipe(family=family, trust_remote_code=True, steps=2, tune=tune, save={"loader": loader})
        found: dict[str, Result] = Session(warm, tmp_path, bases=bases).results(
            "s/r", recipe, [check.name for check in CHECKS]
        )
        return found

    return made


def failed(results: dict[str, Result]) -> dict[str, list[str]]:
    return {
        name: [finding.kind for finding in result.findings]
        for name, result in results.items()
        if result.status not in (Status.PASSED, Status.NOT_APPLICABLE)
    }


def test_a_tower_in_a_list_that_is_to_stay_frozen_is_in_no_save_and_comes_back(results: Any, tmp_path: Path) -> None:
    found = results(LISTED, ["connector", "llm"])

    assert failed(found) == {}
    assert found["reloaded_outputs_equal_image"].status is Status.PASSED
    (saved,) = tmp_path.rglob("saved/config.json")
    assert not list(saved.parent.rglob("eva02*"))


def test_a_tower_in_a_list_that_is_to_be_tuned_is_found_and_why(results: Any) -> None:
    found = results(LISTED, ["vision", "connector"])

    assert failed(found) == {"trained_components_in_model": ["ComponentOutsideModel"]}
    (finding,) = found["trained_components_in_model"].findings
    assert "vision" in finding.expected
    assert "Python list" in finding.cause
    assert "tune_clip" in finding.cause
    assert finding.do


def test_the_same_with_tune_clip_is_in_order(results: Any) -> None:
    assert failed(results("omnilmm-12b", ["vision", "connector"])) == {}


def test_a_loader_that_sets_no_token_ids_is_found_before_training(results: Any) -> None:
    found = results("omnilmm-12b", ["connector"], loader=None)

    assert found["base_directory_sound"].status is Status.FAILED
    (finding,) = found["base_directory_sound"].findings
    assert "vision_config has no token ids: they are not saved, and must be set after loading" in finding.seen
