"""The quick gate: the same few recipes each time, said everywhere, and never taken for the whole gate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.recipe import read_suite

ROOT = Path(__file__).parent.parent.parent
SUITE = """
family: llava-1.5-7b
defaults: {steps: 1, save: {what: nothing}}
recipes:
  one: {tune: [connector]}
  alike: {tune: [vision]}
  adapted: {lora: {rank: 4, targets: '.*language_model.*q_proj'}}
  alike-too: {lora: {rank: 8, targets: '.*language_model.*q_proj'}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("quick")
    (place / "s.yaml").write_text(SUITE)
    names = {f"s/{name}": {"passed": ["losses_finite"]} for name in ("one", "alike", "adapted", "alike-too")}
    names["s/one"] = {"passed": ["losses_finite", "gone"]}
    (place / "before.json").write_text(json.dumps({"format": 2, "recipes": names}))
    return place


@pytest.fixture(scope="module")
def ran(folder, train):
    arguments = ("run", "s.yaml", "--quick", "--baseline", "before.json", "--out", folder / "out")
    return train(*arguments, folder=folder)


def test_it_runs_the_first_recipe_of_each_kind(ran, folder) -> None:
    results = [json.loads(line) for line in (folder / "out" / "results.jsonl").read_text().splitlines()]

    assert {one["recipe"] for one in results} == {"s/one", "s/adapted"}


def test_it_is_held_against_the_baseline_of_its_recipes_alone_and_says_so(ran, folder) -> None:
    assert ran.status == 1, "a check that is gone is missed here too"
    assert [line for line in ran.out.splitlines() if line.startswith("MISSING")] == ["MISSING  s/one: gone"]
    said = "of which only what the quick gate chose (2 of 4 recipes) was compared: 1 check vanished."
    assert said in ran.out
    for name in ("report.md", "report.html", "comparison.md"):
        text = (folder / "out" / name).read_text()
        assert "Quick gate, 2 of 4 recipes. " in text
        assert said in text
    assert "Quick gate, 2 of 4 recipes. " in ran.out


def test_a_report_written_again_still_says_that_it_was_the_quick_gate(ran, folder, call, tmp_path) -> None:
    again = call("report", folder / "out" / "results.jsonl", "--out", tmp_path)

    assert "Quick gate, 2 of 4 recipes. " in again.out
    assert (tmp_path / "report.md").read_text() == (folder / "out" / "report.md").read_text()


def test_a_chosen_recipe_is_held_against_its_own_part_of_the_baseline_too(folder, train) -> None:
    arguments = ("run", "s.yaml", "--recipe", "alike", "--baseline", "before.json", "--out", folder / "chosen")

    chosen = train(*arguments, folder=folder)

    assert chosen.status == 0
    assert "of which only what --recipe alike chose (1 of 4 recipes) was compared." in chosen.out
    assert "Quick gate" not in chosen.out


def test_marked_recipes_take_the_place_of_the_first_of_each_kind(tmp_path) -> None:
    marked = SUITE.replace("tune: [vision]", "tune: [vision], quick: true")
    (tmp_path / "s.yaml").write_text(marked)

    assert read_suite(tmp_path / "s.yaml").quick == ("alike",)


def test_of_the_shipped_suites_it_runs_well_under_half_and_every_precision_and_kind_of_save() -> None:
    suites = [read_suite(path) for path in sorted((ROOT / "suites").glob("[!k]*.yaml"))]
    everything = [recipe for suite in suites for recipe in suite.recipes.values()]
    quick = [suite.recipes[name] for suite in suites for name in suite.quick]

    assert len(quick) < 0.45 * len(everything)
    for of in ("precision", "saves", "family"):
        assert {getattr(one, of) for one in quick} == {getattr(one, of) for one in everything}
    assert {one.peft is None for one in quick} == {True, False}


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--recipe", "one"), "--quick chooses the recipes, and so does --recipe; give one of them"),
        (("--write-baseline", "b.json"), "--quick runs too little for a baseline; write one in a full run"),
    ],
)
def test_what_would_let_it_replace_the_whole_gate_is_refused(option, said, folder, call) -> None:
    assert call("run", folder / "s.yaml", "--quick", *option, "--out", folder / "no").refusal.startswith(said)
    assert not (folder / "no").exists()


def test_a_mark_that_is_neither_yes_nor_no_is_refused(tmp_path, call) -> None:
    (tmp_path / "s.yaml").write_text(SUITE.replace("tune: [vision]", "tune: [vision], quick: maybe"))

    assert "alike: quick: " in call("run", tmp_path / "s.yaml").refusal
