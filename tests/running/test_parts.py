"""Training that starts from parts: what earlier stages have saved, laid over a base."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.checks import CHECKS
from harness.recipe import Recipe
from harness.recipe.fields import EarlierRecipe
from harness.refusal import Refused
from harness.result import Result, Status
from harness.running.session import Session

FAMILY = "llava-1.5-7b"
ALL = [check.name for check in CHECKS]
LORA = {"rank": 2, "targets": r".*language_model\..*\.(q_proj|v_proj)"}
PROJECTOR: dict[str, Any] = {"tune": ["connector"], "steps": 1, "save": {"what": "projector", "processor": False}}
Judge = Callable[..., dict[str, Result]]


def recipe(**settings: Any) -> Recipe:
    return Recipe.model_validate({"family": FAMILY, "steps": 1, **settings})


def stage(name: str, **settings: Any) -> dict[str, Any]:
    return {"recipe": name, "settings": recipe(**settings)}


@pytest.fixture
def judge(warm: Any, bases: Path, tmp_path: Path) -> Judge:
    """Make a recipe's run and hand back the results that are neither passed nor not applicable, by name."""

    def run(one: Recipe, name: str = "r") -> dict[str, Result]:
        results = Session(warm, tmp_path / "out", bases=bases).results(f"s/{name}", one, ALL)
        silent = (Status.PASSED, Status.NOT_APPLICABLE)
        return {check: result for check, result in results.items() if result.status not in silent}

    return run


def events(tmp_path: Path, kind: str, name: str = "r", stream: str = "rank-0") -> list[dict[str, Any]]:
    lines = (tmp_path / "out" / "runs" / f"s_{name}" / "trace" / stream / "events.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["kind"] == kind]


def test_a_projector_s_file_holds_the_connector_by_the_names_in_memory(judge: Judge, tmp_path: Path) -> None:
    assert judge(recipe(**PROJECTOR)) == {}

    saved = tmp_path / "out" / "runs" / "s_r" / "saved"
    tensors = torch.load(saved / "mm_projector.bin", weights_only=True)

    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "mm_projector.bin"]
    assert len(tensors) == 4
    assert all("multi_modal_projector." in key for key in tensors)


def test_a_stage_begins_with_the_projector_that_the_one_before_has_trained(judge: Judge, tmp_path: Path) -> None:
    assert judge(recipe(tune=["llm"], start_from=stage("p", **PROJECTOR))) == {}

    (load,) = events(tmp_path, "load")
    assert (load["strict"], load["keys"], load["matched"], load["unexpected"]) == (False, 4, 4, [])


def test_a_projector_that_a_later_save_leaves_out_is_lost_and_found(judge: Judge) -> None:
    """The published trap of three stages: the connector does not train beside the adapter, and so is not saved."""
    results = judge(recipe(lora=LORA, start_from=stage("p", **PROJECTOR)))

    (finding,) = results["reloaded_parameters_equal"].findings
    assert finding.expected == "connector: as it was when training ended"
    assert "4 parameters" in finding.seen


def test_parts_may_be_files_of_one_s_own_over_any_base(judge: Judge, tmp_path: Path, bases: Path) -> None:
    judge(recipe(**PROJECTOR), "first")
    file = shutil.copy(tmp_path / "out" / "runs" / "s_first" / "saved" / "mm_projector.bin", tmp_path / "mine.bin")
    own = shutil.copytree(bases / FAMILY, tmp_path / "base")

    assert judge(recipe(tune=["llm"], start_from={"base": str(own), "projector": str(file)})) == {}
    assert [load["matched"] for load in events(tmp_path, "load")] == [4]


def test_a_part_of_another_model_is_a_broken_base(judge: Judge, tmp_path: Path) -> None:
    torch.save({"model.multi_modal_projector.linear_1.weight": torch.zeros(2, 2)}, tmp_path / "mm_projector.bin")

    results = judge(recipe(tune=["llm"], start_from={"projector": str(tmp_path)}))

    (finding,) = results["base_directory_sound"].findings
    assert "size mismatch for model.multi_modal_projector.linear_1.weight" in finding.seen


def test_a_file_that_meets_nothing_is_found_though_nothing_raises(judge: Judge, tmp_path: Path) -> None:
    torch.save({"model.mm_projector.0.weight": torch.zeros(2, 2)}, tmp_path / "mm_projector.bin")

    results = judge(recipe(tune=["llm"], start_from={"projector": str(tmp_path)}))

    kinds = {(finding.kind, finding.where) for finding in results["parts_meet_the_model"].findings}
    assert kinds == {
        ("NothingLoaded", "load_state_dict of LlavaForConditionalGeneration, in training"),
        ("NothingLoaded", "mm_projector.bin, as a stranger loads the start"),
    }


def test_a_pickle_that_would_run_code_is_not_loaded(judge: Judge, tmp_path: Path) -> None:
    torch.save({"model": print}, tmp_path / "mm_projector.bin")

    results = judge(recipe(tune=["llm"], start_from={"projector": str(tmp_path)}))

    assert "is not loaded" in results["base_directory_sound"].findings[0].seen


def test_a_stage_that_failed_leaves_a_broken_base(judge: Judge) -> None:
    failing = {**PROJECTOR, "data": {"max_length": 3}}

    results = judge(recipe(tune=["llm"], start_from=stage("p", **failing)))

    assert "mm_projector.bin: no such file" in results["base_directory_sound"].findings[0].seen


def test_a_missing_part_is_refused_in_one_line_before_anything_is_built(tmp_path: Path) -> None:
    from harness.recipe import read_suite
    from harness.running.session import check_buildable

    (tmp_path / "empty").mkdir()
    suite = tmp_path / "suite.yaml"
    suite.write_text(f"family: {FAMILY}\nrecipes: {{r: {{tune: llm, start_from: {{projector: empty}}}}}}\n")

    with pytest.raises(Refused, match=rf"r: start_from.*{tmp_path}/empty.*no mm_projector.bin there") as refused:
        check_buildable(read_suite(suite))
    assert "\n" not in str(refused.value)


def test_what_trained_and_whole_state_dicts_are_laid_over_a_base_too(judge: Judge, tmp_path: Path) -> None:
    for what in ("partial", "native"):
        earlier = stage("e", tune=["connector"], save={"what": what})
        assert judge(recipe(tune=["llm"], start_from=earlier), what) == {}
        (load,) = events(tmp_path, "load", what)
        assert load["matched"] == load["keys"] > 0


def test_an_adapter_and_what_trained_beside_it_go_on_from_where_they_were(judge: Judge, tmp_path: Path) -> None:
    beside = {"tune": ["connector"], "lora": LORA, "save": {"beside_adapter": "non_lora_trainables.bin"}}

    assert judge(recipe(**beside, start_from=stage("e", **beside))) == {}

    assert [load["module"] for load in events(tmp_path, "load")] == ["LlavaForConditionalGeneration", "PeftModel"]
    (reloaded,) = events(tmp_path, "reloaded", stream="reload")
    assert [part["file"] for part in reloaded["parts"]] == ["non_lora_trainables.bin"]


def test_settings_of_an_earlier_recipe_are_part_of_it() -> None:
    one = recipe(tune=["llm"], start_from={"projector": stage("p", **PROJECTOR)})

    again = Recipe.model_validate_json(one.model_dump_json(exclude_defaults=True))

    assert isinstance(again.start_from.projector, EarlierRecipe)
    assert Recipe.model_validate(again.start_from.projector.settings) == recipe(**PROJECTOR)


def test_a_directory_whose_configuration_says_no_model_type_is_refused_by_its_whole_path(tmp_path: Path) -> None:
    from harness.recipe import read_suite
    from harness.running.session import check_buildable

    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "config.json").write_text("{}")
    suite = tmp_path / "suite.yaml"
    suite.write_text(f"family: {FAMILY}\nrecipes: {{r: {{tune: llm, start_from: start}}}}\n")

    with pytest.raises(Refused) as refused:
        check_buildable(read_suite(suite))
    assert f"{tmp_path}/start/config.json has no model_type" in str(refused.value)
    assert "\n" not in str(refused.value)
