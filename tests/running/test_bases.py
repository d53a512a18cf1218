"""What training starts from is verified first: a broken base is not blamed on the fine-tune."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.checks import CHECKS
from harness.recipe import Recipe, read_suite
from harness.result import Result, Status
from harness.running.session import Session

Judge = Callable[..., dict[str, Result]]
ALL = [check.name for check in CHECKS]
TUNED: dict[str, Any] = {"family": "llava-1.5-7b", "tune": ["connector"], "steps": 1}


@pytest.fixture
def judge(warm: Any, bases: Path, tmp_path: Path) -> Judge:
    """Make a recipe's run and hand back the results of checks by name."""

    def run(recipe: Recipe, checks: list[str] | None = None, own_bases: Path | None = None) -> dict[str, Result]:
        return Session(warm, tmp_path / "out", bases=own_bases or bases).results("s/r", recipe, checks or ALL)

    return run


@pytest.fixture
def copy_of_base(bases: Path, judge: Judge, tmp_path: Path) -> Path:
    """A user's own directory, as complete as the family's."""
    judge(Recipe(**TUNED), ["base_directory_sound"])
    return Path(shutil.copytree(bases / "llava-1.5-7b", tmp_path / "mine"))


def made(tmp_path: Path) -> int:
    journal = tmp_path / "out" / "journal.jsonl"
    return len(journal.read_text().splitlines()) if journal.exists() else 0


def test_a_directory_of_ones_own_is_verified_and_trained_from(judge: Judge, copy_of_base: Path) -> None:
    results = judge(Recipe(**TUNED, start_from=str(copy_of_base)))

    assert {name: result.reason for name, result in results.items() if result.status is Status.FAILED} == {}
    assert results["base_directory_sound"].status is Status.PASSED
    assert results["base_weights_arrived"].status is Status.PASSED


def _lose_processor(base: Path) -> None:
    for name in ("processor_config.json", "preprocessor_config.json"):
        (base / name).unlink(missing_ok=True)


def _lose_shard(base: Path) -> None:
    sorted(base.glob("*.safetensors"))[0].unlink()


def _damage_configuration(base: Path) -> None:
    (base / "config.json").write_text("{")


def _lose_tokens(base: Path) -> None:
    (base / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    "break_it",
    [_lose_processor, _lose_shard, _damage_configuration, _lose_tokens],
    ids=lambda function: function.__name__.strip("_"),
)
def test_nothing_is_trained_from_a_broken_base_and_it_is_named(
    judge: Judge, copy_of_base: Path, tmp_path: Path, break_it: Callable[[Path], None]
) -> None:
    break_it(copy_of_base)
    before = made(tmp_path)

    results = judge(Recipe(**TUNED, start_from=str(copy_of_base)))

    assert made(tmp_path) == before
    assert {finding.kind for finding in results["base_directory_sound"].findings} == {"BaseBroken"}
    assert results["run.completed"].findings[0].where.startswith("stage base")
    rest = {r.status for name, r in results.items() if name not in ("base_directory_sound", "run.completed")}
    assert rest <= {Status.BLOCKED, Status.NOT_APPLICABLE}


def test_a_base_is_verified_once_for_all_recipes_of_its_precision(judge: Judge, warm: Any, tmp_path: Path) -> None:
    own = tmp_path / "bases"
    for seed, precision in enumerate(("fp32", "bf16", "pure-bf16")):
        judge(Recipe(**TUNED, seed=seed, precision=precision), ["base_directory_sound"], own)
    verified = {path.parent.name: path.stat().st_mtime_ns for path in own.glob("*/inventory.json")}

    judge(Recipe(**TUNED, seed=9), ["base_directory_sound"], own)

    assert sorted(verified) == ["llava-1.5-7b.bfloat16", "llava-1.5-7b.float32"]
    assert {path.parent.name: path.stat().st_mtime_ns for path in own.glob("*/inventory.json")} == verified


def test_a_base_that_no_selected_check_asks_about_is_not_verified(judge: Judge, tmp_path: Path) -> None:
    own = tmp_path / "bases"

    results = judge(Recipe(**TUNED), ["losses_finite"], own)

    assert results["losses_finite"].status is Status.PASSED
    assert list(own.glob("*/inventory.json")) == []


def test_the_samples_a_base_is_verified_with_are_the_same_for_every_recipe(judge: Judge, tmp_path: Path) -> None:
    records = []
    for name, mix in (("images", ["image"]), ("text", ["text"])):
        judge(Recipe(**{**TUNED, "tune": "language"}, data={"mix": mix}), ["base_directory_sound"], tmp_path / name)
        lines = (tmp_path / name / "llava-1.5-7b.float32" / "stream" / "events.jsonl").read_text().splitlines()
        records.append(json.loads(lines[-1])["outputs"])

    assert records[0] == records[1]
    assert sorted(records[0]) == ["image", "text"]


def test_a_stage_starts_from_what_the_earlier_recipe_has_saved(warm: Any, bases: Path, tmp_path: Path) -> None:
    suite = tmp_path / "stages.yaml"
    suite.write_text(
        "family: llava-1.5-7b\n"
        "recipes:\n"
        "  first: {tune: [connector], steps: 1}\n"
        "  second: {tune: [llm], steps: 1, start_from: {recipe: first}}\n"
    )
    recipes = read_suite(suite).recipes
    session = Session(warm, tmp_path / "out", bases=tmp_path / "bases")

    first = session.results("stages/first", recipes["first"], ALL)
    second = session.results("stages/second", recipes["second"], ALL)

    assert {result.status for result in (*first.values(), *second.values())} <= {Status.PASSED, Status.NOT_APPLICABLE}
    traces = [tmp_path / "out" / "runs" / f"stages_{name}" / "trace" for name in ("first", "second")]
    assert _values(traces[0], "final", "multi_modal_projector") == _values(
        traces[1], "parameters", "multi_modal_projector"
    )


def test_a_stage_that_fails_is_the_next_ones_broken_base(warm: Any, bases: Path, tmp_path: Path) -> None:
    earlier = Recipe(**TUNED, data={"max_length": 3})
    later = Recipe(**TUNED, start_from={"recipe": "first", "settings": earlier})

    results = Session(warm, tmp_path / "out", bases=tmp_path / "bases").results("s/r", later, ALL)

    assert results["base_directory_sound"].status is Status.FAILED
    assert "no such directory" in results["base_directory_sound"].findings[0].seen


def _values(trace: Path, kind: str, part: str) -> dict[str, str]:
    """The fingerprints of one part's parameters, in the record of a kind."""
    records = [json.loads(line) for line in (trace / "rank-0" / "events.jsonl").read_text().splitlines()]
    paths = next(record for record in records if record["kind"] == "parameters")["path"]
    prints = next(record for record in records if record["kind"] == kind)["fingerprint"]
    return {path: value for path, value in zip(paths, prints, strict=True) if part in path}


def test_stages_of_one_name_in_two_suites_are_two_bases(warm: Any, tmp_path: Path) -> None:
    session = Session(warm, tmp_path / "out", bases=tmp_path / "bases")
    starts = []
    for suite, rate in (("one", 1e-3), ("two", 1e-1)):
        earlier = Recipe(**TUNED, optimizer={"learning_rate": rate})
        later = Recipe(**TUNED, start_from={"recipe": "first", "settings": earlier})
        session.results(f"{suite}/second", later, ["base_directory_sound"])
        trace = tmp_path / "out" / "runs" / f"{suite}_second" / "trace"
        starts.append(_values(trace, "parameters", "multi_modal_projector"))

    assert starts[0] != starts[1]


def test_a_fault_is_in_the_run_and_not_in_the_stage_before_it(warm: Any, tmp_path: Path) -> None:
    later = Recipe(**TUNED, start_from={"recipe": "first", "settings": Recipe(**TUNED)})
    session = Session(warm, tmp_path / "out", faults=("processor_configuration_missing",), bases=tmp_path / "bases")

    results = session.results("s/r", later, ALL)

    assert results["base_directory_sound"].status is Status.PASSED
    assert results["processor_reloads"].status is Status.FAILED


def test_a_directory_is_verified_for_each_family_that_starts_from_it(judge: Judge, copy_of_base: Path) -> None:
    start = {"steps": 1, "tune": ["connector"], "start_from": str(copy_of_base)}
    own = Recipe(family="llava-1.5-7b", **start)
    foreign = Recipe(family="minicpm-llama3-v-2.5", trust_remote_code=True, data={"batch_size": 1}, **start)

    statuses = [judge(recipe, ["base_directory_sound"])["base_directory_sound"].status for recipe in (own, foreign)]

    assert statuses == [Status.PASSED, Status.FAILED]
