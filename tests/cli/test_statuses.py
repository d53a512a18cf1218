"""Exit statuses: 0 nothing failed, 1 something did, 2 bad input, 3 the harness itself broke, 130 interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SUITE = """
family: llava-1.5-7b
recipes:
  connector: {tune: [connector], steps: 2, save: {what: nothing}}
"""
VANISHED = "reloaded_parameters_equal"  # a recipe that saves nothing has nothing to reload


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("statuses")
    (place / "quick.yaml").write_text(SUITE)
    return place


@pytest.fixture(scope="module")
def passing(folder, train):
    return train("run", "quick.yaml", "--out", folder / "out", "--write-baseline", "baseline.json", folder=folder)


@pytest.fixture(scope="module")
def baseline(passing, folder) -> dict:
    assert passing.status == 0, passing
    return json.loads((folder / "baseline.json").read_text())


def test_a_run_in_which_everything_passes_ends_with_0(passing) -> None:
    assert (passing.status, passing.err) == (0, "")
    assert "passed" in passing.out.splitlines()[-2]


def test_a_written_baseline_holds_the_checks_that_applied_and_no_other(baseline, folder) -> None:
    results = [json.loads(line) for line in (folder / "out" / "results.jsonl").read_text().splitlines()]
    applied = sorted(result["check"] for result in results if result["status"] != "not_applicable")

    assert baseline == {"format": 2, "recipes": {"quick/connector": {"passed": applied}}}
    assert VANISHED not in applied
    assert len(applied) > 10


def test_a_run_with_as_many_checks_as_its_baseline_passes_and_takes_the_place_of_the_run_before(
    baseline, folder, train
) -> None:
    ran = train("run", "quick.yaml", "--out", folder / "out", "--baseline", "baseline.json", folder=folder)

    assert (ran.status, ran.err) == (0, "")
    assert len((folder / "out" / "journal.jsonl").read_text().splitlines()) == 1


def test_a_check_of_the_baseline_that_no_longer_applies_ends_with_1_and_is_named(baseline, folder, train) -> None:
    passed = [*baseline["recipes"]["quick/connector"]["passed"], VANISHED]
    edited = {"format": 2, "recipes": {"quick/connector": {"passed": passed}}}
    (folder / "edited.json").write_text(json.dumps(edited))

    ran = train("run", "quick.yaml", "--out", folder / "less", "--baseline", "edited.json", folder=folder)

    assert (ran.status, ran.err) == (1, "")
    assert f"MISSING  quick/connector: {VANISHED}" in ran.out.splitlines()
    assert "1 check of the baseline is missing" in ran.out
    assert VANISHED in (folder / "less" / "report.md").read_text()
    assert VANISHED in (folder / "less" / "comparison.md").read_text()
    assert ran.out.splitlines()[-2] == "This run is worse than the baseline: 1 check vanished."


def test_a_warning_fails_only_where_strictness_is_asked_for(folder, train) -> None:
    arguments = ("run", "quick.yaml", "-k", "nothing_odd", "--out", folder / "warned")

    strict = train(*arguments, "--strict", folder=folder, plugins=("warning_check",))
    lenient = train(*arguments, folder=folder, plugins=("warning_check",))

    assert (strict.status, lenient.status) == (1, 0), strict.out + lenient.out
    assert "1 warned" in lenient.out


def test_a_known_failure_that_matches_nothing_ends_with_1(folder, train) -> None:
    place = folder / "dead"
    place.mkdir()
    (place / "quick.yaml").write_text(SUITE)
    (place / "known_failures.yaml").write_text(
        "- {check: losses_finite, recipe: quick/gone, reason: gone, link: https://example.org/1, expires: 2999-01-01}"
    )

    ran = train("run", place, "--out", place / "out", folder=folder)

    assert ran.status == 1
    assert "quick/gone" in ran.out


def test_a_broken_list_of_known_failures_is_refused_in_one_line(folder, train) -> None:
    place = folder / "broken"
    place.mkdir()
    (place / "quick.yaml").write_text(SUITE)
    (place / "known_failures.yaml").write_text("- {check: losses_finite}\n")

    ran = train("run", place, "--out", place / "out", folder=folder)

    assert "known_failures.yaml: entry 1" in ran.refusal


def test_a_defect_of_the_harness_ends_with_3_and_says_whose_fault_it_is(call, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("not thought of")

    monkeypatch.setattr("harness.planning.family_plan", broken)

    ran = call("plan", "llava-1.5-7b")

    assert ran.status == 3
    assert "RuntimeError: not thought of" in ran.err
    assert ran.err.splitlines()[-1] == (
        "harness: this is a defect of the harness, please report it with the lines above"
    )


def test_a_command_that_is_interrupted_ends_with_130_in_one_line(call, monkeypatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.planning.family_plan", interrupted)

    ran = call("plan", "llava-1.5-7b")

    assert ran.status == 130
    assert "Traceback" not in ran.err


def test_a_reader_that_goes_away_is_no_failure(call, monkeypatch) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("harness.planning.family_plan", gone)

    ran = call("plan", "llava-1.5-7b")

    assert (ran.status, ran.err) == (0, "")


@pytest.mark.parametrize("arguments", [("--help",), ()], ids=["asked_for", "without_arguments"])
def test_help_ends_with_0_and_names_every_command(arguments, call) -> None:
    ran = call(*arguments)

    assert (ran.status, ran.err) == (0, "")
    for command in ("run", "faults", "check", "report", "plan", "schema", "list", "tiny", "inspect"):
        assert f"  {command} " in ran.out
