"""One training run per recipe, whether one process works or several, and the same results to the byte."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

SUITE = """
family: llava-1.5-7b
defaults: {size: tiny, steps: 2}
matrix: {precision: [fp32, bf16]}
recipes:
  connector: {tune: [connector]}
  words: {tune: [llm], data: {mix: [text]}, save: {what: nothing}}
"""
RECIPES = ("connector[fp32]", "connector[bf16]", "words[fp32]", "words[bf16]")
ONE = """
family: llava-1.5-7b
recipes:
  connector: {tune: [connector], steps: 1}
  never-asked-for: {tune: [llm], steps: 1}
"""
ONE_CHECK = "frozen_parameters_unchanged"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("sessions")
    (place / "small.yaml").write_text(SUITE)
    (place / "one.yaml").write_text(ONE)
    return place


@pytest.fixture(scope="module")
def alone(folder, train):
    return train("-v", "small.yaml", folder=folder, out=folder / "alone")


@pytest.fixture(scope="module")
def parallel(folder, train):
    return train("-v", "-n", "2", "small.yaml", folder=folder, out=folder / "parallel")


@pytest.fixture(scope="module")
def by_keyword(folder, train):
    return train("-v", "small.yaml::connector[bf16]", "-k", ONE_CHECK, folder=folder, out=folder / "keyword")


@pytest.fixture(scope="module")
def by_node_id(folder, train):
    return train("-v", "one.yaml::connector::losses_finite", folder=folder, out=folder / "node")


@pytest.fixture(scope="module")
def collected(folder, run_pytest) -> list[str]:
    ran = run_pytest("--collect-only", "-q", "small.yaml", folder=folder)
    assert ran.status == 0, ran.said
    return [line for line in ran.out.splitlines() if "::" in line]


def results(ran) -> list[dict]:
    return [json.loads(line) for line in (ran.results / "results.jsonl").read_text().splitlines()]


def runs_made(ran) -> list[str]:
    """The recipe of every training run made, in order."""
    return [json.loads(line)["recipe"] for line in (ran.results / "journal.jsonl").read_text().splitlines()]


def events(ran, recipe: str) -> list[dict]:
    stream = ran.results / "runs" / recipe / "trace" / "rank-0" / "events.jsonl"
    return [json.loads(line) for line in stream.read_text().splitlines()]


def test_the_suite_passes_in_one_process_and_in_several(alone, parallel) -> None:
    assert (alone.status, parallel.status) == (0, 0), alone.said + parallel.said


def test_every_recipe_is_trained_exactly_once(alone, parallel) -> None:
    once = Counter({f"small/{recipe}": 1 for recipe in RECIPES})

    assert Counter(runs_made(alone)) == once
    assert Counter(runs_made(parallel)) == once


def test_the_results_hold_each_recipe_and_check_once(parallel, collected) -> None:
    pairs = Counter((result["recipe"], result["check"]) for result in results(parallel))

    assert set(pairs.values()) == {1}
    asked = (node.split("::") for node in collected)
    assert set(pairs) == {(f"small/{recipe}", check) for _, recipe, check in asked}


def test_the_same_node_ids_run_with_and_without_workers(alone, parallel, collected) -> None:
    assert len(collected) == len(set(collected)) > 4 * 10
    assert sorted(alone.outcomes) == sorted(collected)
    assert sorted(parallel.outcomes) == sorted(collected)
    assert parallel.outcomes == alone.outcomes


def test_the_results_are_the_same_bytes_with_and_without_workers(alone, parallel) -> None:
    first, second = ((ran.results / "results.jsonl").read_bytes() for ran in (alone, parallel))

    assert first == second != b""


def test_the_results_are_sorted_by_recipe_and_check(parallel) -> None:
    order = [(result["recipe"], result["check"]) for result in results(parallel)]

    assert order == sorted(order)


def test_a_keyword_leaves_out_the_probes_and_the_reload_that_no_selected_check_needs(alone, by_keyword) -> None:
    run = "small_connector_bf16"
    probes = [{event["name"] for event in events(ran, run) if event["kind"] == "probe"} for ran in (alone, by_keyword)]

    assert by_keyword.status == 0, by_keyword.said
    assert probes[0] >= {"generated", "other_pixels", "outputs"}
    assert probes[1] == set()
    assert (alone.results / "runs" / run / "trace" / "reload").is_dir()
    assert not (by_keyword.results / "runs" / run / "trace" / "reload").exists()


def test_a_keyword_still_makes_one_run_per_recipe_and_judges_the_named_check_alone(by_keyword) -> None:
    assert runs_made(by_keyword) == ["small/connector[bf16]"]
    assert [result["check"] for result in results(by_keyword)] == [ONE_CHECK]
    assert by_keyword.outcomes == {f"small.yaml::connector[bf16]::{ONE_CHECK}": "PASSED"}


def test_asking_for_less_changes_nothing_about_the_training_itself(alone, by_keyword) -> None:
    trained = ("forward", "backward", "gradients", "optimizer_step", "final")
    whole, part = (
        [event for event in events(ran, "small_connector_bf16") if event["kind"] in trained]
        for ran in (alone, by_keyword)
    )

    assert whole == part != []


def test_one_node_id_runs_one_check_of_one_recipe(by_node_id) -> None:
    assert by_node_id.status == 0, by_node_id.said
    assert by_node_id.outcomes == {"one.yaml::connector::losses_finite": "PASSED"}
    assert runs_made(by_node_id) == ["one/connector"]
    assert [(r["recipe"], r["check"], r["status"]) for r in results(by_node_id)] == [
        ("one/connector", "losses_finite", "passed")
    ]


def test_a_node_id_as_pytest_prints_it_selects_that_item_for_a_recipe_of_a_matrix_too(folder, run_pytest) -> None:
    node = "small.yaml::words[bf16]::losses_finite"

    ran = run_pytest("--collect-only", "-q", node, folder=folder)

    assert (ran.status, [line for line in ran.out.splitlines() if "::" in line]) == (0, [node]), ran.said
