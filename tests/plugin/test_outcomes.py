"""What each status of a result is to pytest, and what a failing item shows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

# Names of layers that the language model and the vision tower share: the adapter lands in both.
IN_THE_TOWER_TOO = "{lora: {rank: 4, targets: [q_proj, v_proj]}, save: {what: nothing}}"
# No sample is as short as this: the run ends before its first step.
TOO_SHORT = "{tune: [connector], data: {max_length: 8}}"
OUTCOMES = f"""
family: llava-1.5-7b
defaults: {{steps: 1}}
recipes:
  everywhere: {IN_THE_TOWER_TOO}
  stuck: {TOO_SHORT}
  lonely: {TOO_SHORT}
"""
KNOWN = f"""
family: llava-1.5-7b
defaults: {{steps: 1}}
recipes:
  excused: {IN_THE_TOWER_TOO}
  expired: {IN_THE_TOWER_TOO}
  sound: {{tune: [connector], save: {{what: nothing}}}}
"""
KNOWN_FAILURES = """
- {check: adapters_where_intended, recipe: known/excused, reason: names end alike, link: "https://example.org/1",
   expires: 2999-01-01}
- {check: adapters_where_intended, recipe: known/expired, reason: names end alike, link: "https://example.org/2",
   expires: 2001-01-01}
- {check: losses_finite, recipe: known/sound, reason: it was infinite once, link: "https://example.org/3",
   expires: 2999-01-01}
"""
ASKED = (
    "outcomes.yaml::everywhere",
    "outcomes.yaml::stuck",
    "outcomes.yaml::lonely::losses_finite",
    "known/known.yaml::excused::adapters_where_intended",
    "known/known.yaml::expired::adapters_where_intended",
    "known/known.yaml::sound::losses_finite",
    "known/known.yaml::sound::gradients_finite",
)
FAILING = "outcomes.yaml::everywhere::adapters_where_intended"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("outcomes")
    (place / "known").mkdir()
    (place / "outcomes.yaml").write_text(OUTCOMES)
    (place / "known" / "known.yaml").write_text(KNOWN)
    (place / "known" / "known_failures.yaml").write_text(KNOWN_FAILURES)
    return place


@pytest.fixture(scope="module")
def session(folder, train):
    return train("-v", "-rsxX", *ASKED, folder=folder, plugins=["warning_check"])


@pytest.fixture(scope="module")
def status_of(session) -> dict[str, str]:
    """Node id to the status in results.jsonl."""
    lines = (session.results / "results.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return {f"{r['recipe'].replace('/', '.yaml::')}::{r['check']}": r["status"] for r in found}


def shown(session, node: str) -> list[str]:
    """The lines that the report of a failing item consists of."""
    suite, recipe, check = Path(node).name.split("::")
    title = re.escape(f"{suite.removesuffix('.yaml')}/{recipe}: {check}")
    after = re.split(rf"^_+ {title} _+$", session.out, flags=re.MULTILINE)[1]
    return re.split(r"^[_=]{3,}", after, flags=re.MULTILINE)[0].strip("\n").splitlines()


def again(session, node: str) -> str:
    (command,) = (line.strip() for line in shown(session, node) if line.strip().startswith("again "))
    return command.removeprefix("again").strip()


def test_a_session_with_failures_ends_with_1(session) -> None:
    assert session.status == 1, session.said


def test_a_check_that_passes_is_a_passed_item(session, status_of) -> None:
    node = "outcomes.yaml::everywhere::frozen_parameters_unchanged"

    assert (status_of[node], session.outcomes[node]) == ("passed", "PASSED")


def test_a_check_with_findings_is_a_failed_item(session, status_of) -> None:
    assert (status_of[FAILING], session.outcomes[FAILING]) == ("failed", "FAILED")


def test_a_check_that_only_warns_is_a_passed_item(session, status_of) -> None:
    node = "outcomes.yaml::everywhere::nothing_odd"

    assert (status_of[node], session.outcomes[node]) == ("warned", "PASSED")


def test_a_check_that_does_not_apply_is_skipped_with_its_reason(session, status_of) -> None:
    node = "outcomes.yaml::everywhere::saved_directory_loads"

    assert (status_of[node], session.outcomes[node]) == ("not_applicable", "SKIPPED")
    assert "not_applicable: the recipe saves nothing" in session.out


def test_blocked_checks_beside_a_failure_are_skipped_so_that_one_crash_is_one_failure(session, status_of) -> None:
    of_recipe = {node: outcome for node, outcome in session.outcomes.items() if "::stuck::" in node}
    blocked = {node for node in of_recipe if status_of[node] == "blocked"}

    assert [node for node, outcome in of_recipe.items() if outcome == "FAILED"] == [
        "outcomes.yaml::stuck::run.completed"
    ]
    assert len(blocked) > 5
    assert {of_recipe[node] for node in blocked} == {"SKIPPED"}
    assert "blocked: 0 optimizer steps were recorded, 1 are needed" in session.out


def test_a_blocked_check_with_no_failure_beside_it_fails(session, status_of) -> None:
    node = "outcomes.yaml::lonely::losses_finite"

    assert (status_of[node], session.outcomes[node]) == ("blocked", "FAILED")
    assert shown(session, node)[:2] == [
        "BLOCKED  losses_finite",
        "  reason    0 optimizer steps were recorded, 1 are needed",
    ]


def test_a_known_failure_is_xfailed_with_its_reason_and_its_link(session) -> None:
    assert session.outcomes["known/known.yaml::excused::adapters_where_intended"] == "XFAIL"
    assert "names end alike (https://example.org/1)" in session.out


def test_an_expired_entry_excuses_nothing_and_says_so(session) -> None:
    results = [json.loads(line) for line in (session.results / "results.jsonl").read_text().splitlines()]
    (expired,) = (result for result in results if result["recipe"] == "known/expired")

    assert session.outcomes["known/known.yaml::expired::adapters_where_intended"] == "FAILED"
    assert expired["status"] == "failed"
    assert "expired on 2001-01-01" in expired["reason"]


def test_a_known_failure_that_passes_fails_as_fixed(session) -> None:
    node = "known/known.yaml::sound::losses_finite"

    assert session.outcomes[node] == "FAILED"
    assert shown(session, node)[0] == "FIXED  losses_finite"
    assert "it passed: https://example.org/3" in shown(session, node)[1]


def test_an_entry_for_another_check_leaves_a_recipe_alone(session) -> None:
    assert session.outcomes["known/known.yaml::sound::gradients_finite"] == "PASSED"


def test_known_failures_lie_beside_their_suite_and_concern_no_other(session) -> None:
    assert {node for node, outcome in session.outcomes.items() if outcome == "XFAIL"} == {
        "known/known.yaml::excused::adapters_where_intended"
    }


def test_a_failing_item_shows_what_was_expected_and_seen_and_what_to_do_and_nothing_else(session) -> None:
    title, *fields = shown(session, FAILING)
    said = {line[:12].strip(): line[12:] for line in fields}

    assert title == "FAILED  adapters_where_intended"
    assert list(said) == ["expected", "seen", "where", "cause", "do", "again"]
    assert said["expected"] == "vision: no adapter"
    assert said["seen"] == "6 adapters"
    assert "vision_tower" in said["where"]
    assert "q_proj" in said["cause"]
    assert "regular expression" in said["do"]
    assert said["again"] == "harness run outcomes.yaml --recipe everywhere -k adapters_where_intended"


def test_no_failing_item_shows_a_traceback(session) -> None:
    assert "Traceback" not in session.said
    assert "site-packages" not in session.said


def test_a_failed_run_shows_stage_and_error_of_the_training(session) -> None:
    _, *fields = shown(session, "outcomes.yaml::stuck::run.completed")
    said = {line[:12].strip(): line[12:] for line in fields}

    assert "exceed max_length 8" in said["seen"]
    assert said["where"] == "stage data, after 0 optimizer steps"
    assert "raise data.max_length" in said["do"]


def test_the_command_that_is_shown_reproduces_the_failure(session, folder, run_harness) -> None:
    program, *arguments = shlex.split(again(session, FAILING))

    repeated = run_harness(*arguments, folder=folder)

    assert program == "harness"
    assert (repeated.status, repeated.err) == (1, "")
    assert "everywhere    1 check: 1 failed" in repeated.out
    assert set(shown(session, FAILING)) <= set(repeated.out.splitlines())
