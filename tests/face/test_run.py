"""Running a suite from Python."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import harness
from harness.refusal import Refused

SUITE = """
family: llava-1.5-7b
defaults: {steps: 2, save: {what: nothing}}
recipes:
  connector: {tune: [connector]}
  everywhere: {lora: {rank: 4, targets: [q_proj, v_proj]}}
  words: {tune: [llm], data: {mix: [text]}}
"""


@pytest.fixture
def suite(tmp_path, warm, monkeypatch):
    """A suite; running it shares the tests' warm parents."""
    monkeypatch.setattr(
        "harness.running.session.WarmParents",
        lambda families, engines=(): SimpleNamespace(sockets=warm, stop=lambda: None),
    )
    path = tmp_path / "three.yaml"
    path.write_text(SUITE)
    return path


def test_only_the_named_recipes_of_a_suite_are_run_and_every_check_judges_them(suite, tmp_path) -> None:
    from harness.checks import CHECKS

    results = harness.run(suite, tmp_path / "out", recipes=["connector", "everywhere"])

    journal = (tmp_path / "out" / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["recipe"] for line in journal] == ["three/connector", "three/everywhere"]
    assert [(result.recipe, result.check) for result in results] == [
        (recipe, check.name) for recipe in ("three/connector", "three/everywhere") for check in CHECKS
    ]
    assert not results.ok
    assert [(r.recipe, r.check) for r in results if r.status.value == "failed"] == [
        ("three/everywhere", "adapters_where_intended")
    ]
    assert "FAILED  adapters_where_intended" in str(results)


def test_a_recipe_whose_checks_all_pass_is_ok(suite, tmp_path) -> None:
    results = harness.run(str(suite), str(tmp_path / "out"), recipes=["words"])

    assert results.ok, results
    assert {result.recipe for result in results} == {"three/words"}


def test_known_failures_beside_a_suite_are_known_from_python_too(suite, tmp_path) -> None:
    (tmp_path / "known_failures.yaml").write_text(
        "- {check: adapters_where_intended, recipe: three/everywhere, reason: names end alike,"
        " link: https://example.org/1, expires: 2999-01-01}\n"
        "- {check: losses_finite, recipe: three/words, reason: it was infinite once,"
        " link: https://example.org/2, expires: 2999-01-01}\n"
    )

    results = harness.run(suite, tmp_path / "out", recipes=["everywhere", "words"])

    assert [(r.recipe, r.check, r.status.value) for r in results if r.status.value in ("known_failure", "fixed")] == [
        ("three/everywhere", "adapters_where_intended", "known_failure"),
        ("three/words", "losses_finite", "fixed"),
    ]
    assert "FIXED  losses_finite" in str(results)


def test_an_output_directory_of_somebody_else_is_refused_and_left_alone(suite, tmp_path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")

    with pytest.raises(Refused, match="not the harness's"):
        harness.run(suite, theirs)
    assert (theirs / "thesis.txt").read_text() == "years of work"


def test_a_recipe_that_the_suite_does_not_have_is_refused(suite, tmp_path) -> None:
    with pytest.raises(Refused, match="conector"):
        harness.run(suite, tmp_path / "out", recipes=["conector"])


def test_a_suite_that_cannot_work_is_refused_before_anything_is_made(suite, tmp_path) -> None:
    suite.write_text("recipes: [")

    with pytest.raises(Refused, match="is not YAML"):
        harness.run(suite, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_family_is_refused_before_the_last_runs_are_thrown_away(suite, tmp_path) -> None:
    earlier = tmp_path / "out" / "runs" / "three_connector"
    earlier.mkdir(parents=True)
    (tmp_path / "out" / ".harness-out").touch()
    suite.write_text(SUITE.replace("llava-1.5-7b", "lava"))

    with pytest.raises(Refused, match="unknown family"):
        harness.run(suite, tmp_path / "out")
    assert earlier.exists()


def test_partner_runs_beside_a_trace_are_judged_again_and_lost_ones_leave_their_check_out(suite, tmp_path) -> None:
    suite.write_text(SUITE.replace("{tune: [connector]}", "{tune: [connector], loss_scaler: {rule: fp16}}"))
    harness.run(suite, tmp_path / "out", recipes=["connector"])
    runs = tmp_path / "out" / "runs"
    trace = runs / "three_connector" / "trace"

    beside = {result.check: result.status.value for result in harness.check(trace)}
    (partner,) = runs.glob("three_connector@scaler_bf16*")
    partner.rename(tmp_path / "elsewhere")
    alone = {result.check: result.status.value for result in harness.check(trace)}

    assert beside["scaler_rule_over_precisions"] == "passed"
    assert beside == {**alone, "scaler_rule_over_precisions": "passed"}
    assert "scaler_rule_over_precisions" not in alone
