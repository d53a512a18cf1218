"""A tower with a directory of its own: in stages, and where its path is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.checks import CHECKS
from harness.recipe import Recipe, read_suite
from harness.refusal import Refused
from harness.result import Result, Status
from harness.running.session import Session

FAMILY = "llava-1.5-7b"
ALL = [check.name for check in CHECKS]


@pytest.fixture
def judge(warm: Any, bases: Path, tmp_path: Path) -> Any:
    def run(one: Recipe) -> dict[str, Result]:
        results = Session(warm, tmp_path / "out", bases=bases).results("s/r", one, ALL)
        silent = (Status.PASSED, Status.NOT_APPLICABLE)
        return {check: result for check, result in results.items() if result.status not in silent}

    return run


def recipe(**settings: Any) -> Recipe:
    return Recipe.model_validate({"family": FAMILY, "steps": 1, **settings})


def towers(tmp_path: Path) -> list[dict[str, Any]]:
    lines = (tmp_path / "out" / "runs" / "s_r" / "trace" / "rank-0" / "events.jsonl").read_text().splitlines()
    return [tower for line in lines for tower in json.loads(line).get("towers", ())]


def test_what_trained_of_a_tower_is_there_in_the_next_stage(judge: Any, tmp_path: Path) -> None:
    first = recipe(tune=["vision", "connector"], start_from={"vision_tower": "own"})

    assert judge(recipe(tune=["connector"], start_from={"recipe": "first", "settings": first})) == {}

    assert [(tower["setting"], tower["unused"]) for tower in towers(tmp_path)] == [("mm_vision_tower", [])]


def test_a_frozen_tower_is_made_anew_in_the_next_stage_too(judge: Any, tmp_path: Path) -> None:
    first = recipe(tune=["connector"], start_from={"vision_tower": "own"})

    assert judge(recipe(tune=["llm"], start_from={"recipe": "first", "settings": first})) == {}

    (tower,) = towers(tmp_path)
    assert len(tower["unused"]) > 50


def test_a_projector_s_file_says_where_its_tower_comes_from(judge: Any) -> None:
    save = {"what": "projector", "processor": False}

    assert judge(recipe(tune=["connector"], start_from={"vision_tower": "own"}, save=save)) == {}


def test_the_tower_of_a_stage_that_is_gone_is_a_broken_base(judge: Any, bases: Path, tmp_path: Path) -> None:
    judge(recipe(tune=["connector"], start_from={"vision_tower": "own"}))
    saved = shutil.copytree(tmp_path / "out" / "runs" / "s_r" / "saved", tmp_path / "saved")
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "mm_vision_tower": "model_zoo/clip"}))

    results = judge(recipe(tune=["connector"], start_from=str(saved)))

    (finding,) = results["base_directory_sound"].findings
    assert f"{Path.cwd()}/model_zoo/clip: mm_vision_tower: no such directory" in finding.seen


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("{vision_tower: model_zoo/clip}", "start_from.vision_tower: no directory FOLDER/model_zoo/clip; name "),
        ("{vision_tower_aux: own}", "no tower of llava-1.5-7b has a directory of its own named so; it has mm_vision"),
    ],
)
def test_a_tower_that_is_not_there_is_refused_in_one_line(tmp_path: Path, start: str, words: str) -> None:
    from harness.running.session import check_buildable

    suite = tmp_path / "suite.yaml"
    suite.write_text(f"family: {FAMILY}\nrecipes: {{r: {{tune: connector, start_from: {start}}}}}\n")

    with pytest.raises(Refused) as refused:
        check_buildable(read_suite(suite))
    assert words.replace("FOLDER", str(tmp_path)) in str(refused.value)
    assert "\n" not in str(refused.value)
